"""Alpaca: trades and quotes of US equities."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Generic
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.connection import Secret, is_here
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.adapt import asking, making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.feeding import recorded

_Mark = Annotated[str, Meta(max_length=8)]


class _Trade(Struct, Generic[wire.N], tag_field="T", tag="t"):
    S: str
    i: Id
    p: wire.N
    s: wire.N
    t: wire.Text
    # Where it was traded, and the tape that tells of it. Ids are unique within both.
    x: _Mark = ""
    z: _Mark = ""


class _Quote(Struct, Generic[wire.N], tag_field="T", tag="q", rename={"asks": "as"}):
    S: str
    bp: wire.N
    bs: wire.N
    ap: wire.N
    asks: wire.N
    t: wire.Text


class _Said(Struct):
    T: str = ""
    msg: str = ""
    code: int = 0
    trades: list[str] = []
    quotes: list[str] = []


_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read = wire.readers(_Trade[Positive] | _Quote[wire.Amount], _Trade[Decimal] | _Quote[Decimal])
# Corrections and cancels come with trades, without being asked for. They change none that was sent.
_OTHERS = {"c": "correction", "x": "cancel", "s": "trading status"}
_said = msgspec.json.Decoder(list[_Said]).decode


class AlpacaSettings(ExchangeSettings, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    url
        The address of the stream: ``/v2/iex`` is free, ``/v2/sip`` has all exchanges.
    key, secret
        Your key, and its secret.
    """

    url: str = "wss://stream.data.alpaca.markets/v2/iex"
    key: Secret = Secret()
    secret: Secret = Secret()


class _Stocks:
    """The names of US stocks, all of which are priced in USD: ``AAPL`` is ``AAPL-USD``. They are a `Names`."""

    def ours(self, name: str) -> str:
        if not (0 < len(name) <= 16 and name.isascii() and name.replace(".", "").isalnum()):
            raise ValueError(f"{name[:60]!r} is not the name of a stock")
        return f"{name}-USD"

    def theirs(self, symbol: str) -> str:
        name = symbol.removesuffix("-USD")
        self.ours(name)
        return name

    def base_per_unit(self, name: str) -> float:  # noqa: ARG002 - a unit is a share
        return 1.0


class Alpaca(Exchange):
    """Alpaca's stream of stocks; see `Exchange`. Its trades say no side."""

    setting = "TICKERTAPE_ALPACA_URL"
    # An account may have one connection.
    most_streams = 100_000
    marks = (b'"subscription"', b'"error"')
    channels: ClassVar = {"trades": (Channel("trades", Trade),), "quotes": (Channel("quotes", Quote),)}

    def __init__(self, settings: AlpacaSettings, symbols: Sequence[str], names: Names, name: str) -> None:
        super().__init__(settings, symbols, names, name)
        if not (settings.key and settings.secret):
            raise ConfigError("alpaca needs a key: set TICKERTAPE_ALPACA_KEY and TICKERTAPE_ALPACA_SECRET")
        if not (settings.url.startswith("wss:") or is_here(urlsplit(settings.url).hostname or "")):
            raise ConfigError(f"{self.setting} must begin with wss://, because a secret is sent there")
        key, secret = settings.key.reveal(), settings.secret.reveal()
        self.hello = (asking.text_of({"action": "auth", "key": key, "secret": secret}),)

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        return [asking.text_of({"action": verb} | dict(asking.by_channel(streams)))]

    def answered(self, frame: bytes) -> Answer | None:
        for said in _said(frame):
            if said.T == "subscription":
                pairs = [("trades", name) for name in said.trades] + [("quotes", name) for name in said.quotes]
                return Answer(confirmed=tuple(pairs))
            if said.T == "error":
                return Answer(refused=(("", ""),), why=f"{said.code} {said.msg}")
        return None

    def normalise(self, frame: bytes, received_ms: int) -> list[Event | Change | Other] | Other:
        found = list[Event | Change | Other]()
        for item in _items(frame):
            said = _read[self.exact](item)
            if isinstance(said, Other):
                found.append(Other(_OTHERS.get(said.kind, said.kind)))
            else:
                found.append(self._event(said, received_ms))
        return found or Other("nothing")

    def _event(self, raw: _Trade[float] | _Quote[float], at: int) -> Trade | Quote | Other:
        symbol, source, time_ns = self.names.ours(raw.S), self.name, wire.ns_of(raw.t)
        time_ms = wire.sane(time_ns // 1_000_000)
        if isinstance(raw, _Quote):
            # It has no number, so its time is one.
            return making.quote_of(symbol, source, time_ns, time_ms, at, raw.bp, raw.bs, raw.ap, raw.asks)
        return making.trade_of(symbol, source, f"{raw.z}{raw.x}{raw.i}", time_ms, at, raw.p, raw.s, None)


ABOUT = "trades and quotes of US stocks from Alpaca, which needs a key. A symbol is written as AAPL."
FEED = Feed("alpaca", ABOUT, lambda settings, symbols, name: Alpaca(settings, symbols, _Stocks(), name), AlpacaSettings)
FORMAT = recorded("alpaca", Alpaca, AlpacaSettings(key=Secret("none"), secret=Secret("none")), names=_Stocks())

"""Binance spot: trades, quotes and books, live and as recorded."""

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.naming import feed_of, names_of


class Envelope(Struct):
    stream: str = ""
    data: Raw = Raw()


class _Trade(Struct):
    s: str
    t: Id
    p: Positive
    q: Positive
    T: wire.Time
    m: bool


class _Aggregate(Struct):
    s: str
    f: Id
    l: Id  # noqa: E741 - Binance's name for it
    p: Positive
    q: Positive
    T: wire.Time
    m: bool


class _BookTicker(Struct):
    s: str
    u: Id
    b: wire.Amount
    B: wire.Amount
    a: wire.Amount
    A: wire.Amount
    # Only futures say when.
    T: wire.Time | None = None


class _Depth(Struct):
    s: str
    E: wire.Time
    U: Id
    u: Id
    b: wire.Levels
    a: wire.Levels
    T: wire.Time | None = None
    pu: Id | None = None


envelope = msgspec.json.Decoder(Envelope).decode
# If the buyer was the maker, the taker sold.
_SIDES: dict[bool, wire.Side] = {True: "sell", False: "buy"}
_trade = msgspec.json.Decoder(_Trade, strict=False).decode
_aggregate = msgspec.json.Decoder(_Aggregate, strict=False).decode
_book_ticker = msgspec.json.Decoder(_BookTicker, strict=False).decode
_depth = msgspec.json.Decoder(_Depth).decode


class Binance(Exchange):
    """Binance's spot market, over combined streams; see `Exchange`.

    Binance allows five messages a second, so streams are in the address. As many as a connection has make an address of
    4 KB, which every server on the way accepts.
    """

    setting = "TICKERTAPE_BINANCE_URL"
    contiguous = (Trade,)
    rising = (Quote,)
    channels: ClassVar = {
        "trades": (Channel("trade", Trade),),
        "aggregates": (Channel("aggTrade", Trade),),
        "quotes": (Channel("bookTicker", Quote),),
        "books": (Channel("depth@100ms", Change),),
    }

    def urls(self, position: int) -> Sequence[str]:
        lines = enumerate(super().urls(position))
        return [
            f"{url}{'&' if '?' in url else '?'}streams="
            + "/".join(f"{quote(stream.name.lower())}@{stream.channel}" for stream in self.streams(line))
            for line, url in lines
        ]

    def leaves(self, frame: bytes) -> bool:
        # With or without an envelope: the documentation shows both.
        return b'"serverShutdown"' in frame

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | Other:
        said, at = envelope(frame), received_ms
        channel, ours, source = said.stream.partition("@")[2].partition("@")[0], self.names.ours, self.name
        if channel == "trade":
            t = _trade(said.data)
            return wire.trade_of(ours(t.s), source, t.t, wire.in_ms(t.T), at, t.p, t.q, _SIDES[t.m])
        if channel == "bookTicker":
            b = _book_ticker(said.data)
            # On spot it has no time.
            time_ms = wire.in_ms(b.T) if b.T else at
            return wire.quote_of(ours(b.s), source, b.u, time_ms, at, b.b, b.B, b.a, b.A)
        if channel == "aggTrade":
            g = _aggregate(said.data)
            return wire.trade_of(ours(g.s), source, g.f, wire.in_ms(g.T), at, g.p, g.q, _SIDES[g.m], g.l)
        if channel == "depth":
            d = _depth(said.data)
            numbers = {"first": d.U, "last": d.u, "previous": d.pu}
            return wire.change_of(ours(d.s), source, wire.in_ms(d.T or d.E), at, d.b, d.a, is_snapshot=False, **numbers)
        return Other(channel[: wire.MOST_LETTERS] or "unnamed")


class BinanceSettings(ExchangeSettings, frozen=True):
    """The settings of the feed."""

    url: str = "wss://stream.binance.com:9443/stream"
    info_url: str = "https://api.binance.com/api/v3/exchangeInfo"


ABOUT = "Binance's spot trades and quotes (bookTicker). A symbol is written as BTCUSDT or BTC-USDT."
FEED = feed_of("binance", ABOUT, Binance, BinanceSettings)
_recorded = Binance(BinanceSettings(), (), names_of("binance", ""), "binance")


def _parse(line: bytes) -> Event | Other:
    stamp, _, message = line.partition(b" ")
    found = _recorded.normalise(message, int(stamp) // 1_000_000)
    return Other("book") if isinstance(found, Change) else found


#: Lines of ``<ns received> <message of a combined stream>``.
FORMAT = Format("binance", _parse, (Trade, Quote))

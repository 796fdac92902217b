"""Binance spot: trades, quotes and books, live and as recorded."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Generic
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.history.binance import HISTORY, SPOT_AGGREGATES
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.snapshots.binance import SPOT


class Envelope(Struct):
    stream: str = ""
    data: Raw = Raw()


class _Trade(Struct, Generic[wire.N]):
    s: str
    t: Id
    p: wire.N
    q: wire.N
    T: wire.Time
    m: bool


class _Aggregate(Struct, Generic[wire.N]):
    s: str
    f: Id
    l: Id  # noqa: E741 - Binance's name for it
    p: wire.N
    q: wire.N
    T: wire.Time
    m: bool


class _BookTicker(Struct, Generic[wire.N]):
    s: str
    u: Id
    b: wire.N
    B: wire.N
    a: wire.N
    A: wire.N
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
_trade = wire.decoders(_Trade[Positive], _Trade[Decimal])
_aggregate = wire.decoders(_Aggregate[Positive], _Aggregate[Decimal])
_book_ticker = wire.decoders(_BookTicker[wire.Amount], _BookTicker[Decimal])
_depth = msgspec.json.Decoder(_Depth).decode


class Binance(Exchange):
    """Binance's spot market, over combined streams; see `Exchange`.

    Binance allows five messages a second, so streams are in the address. As many as a connection has make an address of
    4 KB, which every server on the way accepts.
    """

    setting = "TICKERTAPE_BINANCE_URL"
    contiguous = (Trade,)
    rising = (Quote,)
    limits = known.BINANCE
    histories: ClassVar = {"trades": HISTORY, "aggregates": SPOT_AGGREGATES}
    snapshots = SPOT
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
            t = _trade[self.exact](said.data)
            return making.trade_of(ours(t.s), source, t.t, wire.in_ms(t.T), at, t.p, t.q, _SIDES[t.m])
        if channel == "bookTicker":
            b = _book_ticker[self.exact](said.data)
            # On spot it has no time.
            time_ms = wire.in_ms(b.T) if b.T else at
            return making.quote_of(ours(b.s), source, b.u, time_ms, at, b.b, b.B, b.a, b.A)
        if channel == "aggTrade":
            g = _aggregate[self.exact](said.data)
            return making.trade_of(ours(g.s), source, g.f, wire.in_ms(g.T), at, g.p, g.q, _SIDES[g.m], g.l)
        if channel == "depth":
            d = _depth(said.data)
            numbers = {"first": d.U, "last": d.u, "previous": d.pu}
            return making.change_of(
                ours(d.s), source, wire.in_ms(d.T or d.E), at, d.b, d.a, is_snapshot=False, **numbers
            )
        return Other(channel[: wire.MOST_LETTERS] or "unnamed")


class BinanceSettings(ExchangeSettings, frozen=True):
    """The settings of the feed."""

    url: str = "wss://stream.binance.com:9443/stream"
    info_url: str = "https://api.binance.com/api/v3/exchangeInfo"


ABOUT = "Binance's spot trades and quotes (bookTicker). A symbol is written as BTCUSDT or BTC-USDT."
FEED = feed_of("binance", ABOUT, Binance, BinanceSettings)
FORMAT = recorded("binance", Binance, BinanceSettings())

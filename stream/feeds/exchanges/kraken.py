"""Kraken, WebSocket v2: trades, quotes of the ticker, and books with checksums."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import asking, making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.history.kraken import HISTORY
from tickertape.stream.feeds.hosts import known


class _Trade(Struct, Generic[wire.N]):
    symbol: str
    side: wire.Side
    price: wire.N
    qty: wire.N
    trade_id: Id
    timestamp: wire.Moment


class _Trades(Struct, Generic[wire.N], tag_field="channel", tag="trade"):
    data: list[_Trade[wire.N]]


class _Ticker(Struct, Generic[wire.N]):
    symbol: str
    bid: wire.N
    bid_qty: wire.N
    ask: wire.N
    ask_qty: wire.N
    timestamp: wire.Moment


class _Tickers(Struct, Generic[wire.N], tag_field="channel", tag="ticker"):
    data: list[_Ticker[wire.N]]


class _Level(Struct):
    # Numbers as Kraken writes them, with zeros at the end: the checksum is that of these digits.
    price: Raw
    qty: Raw


class _Book(Struct):
    symbol: str
    bids: list[_Level]
    asks: list[_Level]
    checksum: Annotated[int, Meta(ge=0, lt=2**32)]
    timestamp: wire.Moment | None = None


class _Books(Struct, tag_field="channel", tag="book"):
    type: Literal["snapshot", "update"]
    data: list[_Book]


class _Answer(Struct):
    success: bool
    method: str = ""
    req_id: int = -1
    symbol: str = ""
    error: str = ""
    result: dict[str, Any] = {}


_CHANNELS = ["trade", "ticker", "book"]
_read = wire.readers(_Trades[Positive] | _Tickers[wire.Amount] | _Books, _Trades[Decimal] | _Tickers[Decimal] | _Books)
_answer = msgspec.json.Decoder(_Answer).decode


class KrakenSettings(ExchangeSettings, frozen=True):
    """The settings of the feed. A book may have 10, 25, 100, 500 or 1000 levels."""

    url: str = "wss://ws.kraken.com/v2"
    info_url: str = "https://api.kraken.com/0/public/AssetPairs"
    depth: int = 100


class Kraken(Exchange):
    """Kraken's spot market; see `Exchange`."""

    setting = "TICKERTAPE_KRAKEN_URL"
    contiguous, limits, marks = (Trade,), known.KRAKEN, (b'"method"',)
    histories: ClassVar = {"trades": HISTORY}
    channels: ClassVar = {
        "trades": (Channel("trade", Trade),),
        "quotes": (Channel("ticker", Quote),),
        "books": (Channel("book", Change),),
    }

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        more = {"ticker": {"event_trigger": "bbo"}, "book": {"depth": self.settings.depth}}
        found = []
        for channel, names in asking.by_channel(streams, most=100):
            params = {"channel": channel, "symbol": names} | more.get(channel, {"snapshot": False})
            # A refusal names no channel. So the number of a request is that of its channel.
            found.append(asking.text_of({"method": verb, "params": params, "req_id": _CHANNELS.index(channel)}))
        return found

    def answered(self, frame: bytes) -> Answer | None:
        said = _answer(frame)
        if said.method != "subscribe":
            return None
        if said.success:
            return Answer(confirmed=((str(said.result.get("channel")), str(said.result.get("symbol"))),))
        return Answer(refused=((dict(enumerate(_CHANNELS)).get(said.req_id, ""), said.symbol),), why=said.error)

    def normalise(self, frame: bytes, received_ms: int) -> list[Event | Change] | Other:
        said, at = _read[self.exact](frame), received_ms
        if isinstance(said, Other):
            return said
        if isinstance(said, _Trades):
            return [self._trade(raw, at) for raw in said.data]
        if isinstance(said, _Tickers):
            found = [self._quote(raw, at) for raw in said.data]
            return [quote for quote in found if not isinstance(quote, Other)] or Other("empty book")
        return [self._change(raw, at, is_snapshot=said.type == "snapshot") for raw in said.data]

    def _trade(self, t: _Trade[float], at: int) -> Trade:
        symbol, time_ms = self.names.ours(t.symbol), wire.ms_of(t.timestamp)
        return making.trade_of(symbol, self.name, t.trade_id, time_ms, at, t.price, t.qty, t.side)

    def _quote(self, raw: _Ticker[float], at: int) -> Quote | Other:
        if not (raw.bid and raw.ask):
            return Other("empty book")  # without a market, the time is 1970
        symbol, best = self.names.ours(raw.symbol), (raw.bid, raw.bid_qty, raw.ask, raw.ask_qty)
        return making.quote_of(symbol, self.name, wire.us_of(raw.timestamp), wire.ms_of(raw.timestamp), at, *best)

    def _change(self, raw: _Book, at: int, *, is_snapshot: bool) -> Change:
        symbol, time_ms = self.names.ours(raw.symbol), wire.ms_of(raw.timestamp) if raw.timestamp else at
        bids, asks = ([(bytes(n.price).decode(), bytes(n.qty).decode()) for n in side] for side in (raw.bids, raw.asks))
        of = symbol, self.name, time_ms, at, bids, asks
        return making.change_of(*of, is_snapshot=is_snapshot, checksum=raw.checksum)


FEED = feed_of("kraken", "Kraken's spot trades and quotes. A symbol is written as BTC-USD.", Kraken, KrakenSettings)
FORMAT = recorded("kraken", Kraken, KrakenSettings())

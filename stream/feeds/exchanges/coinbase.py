"""Coinbase Exchange: trades, quotes of the ticker, and books."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Generic, Literal

import msgspec
from msgspec import Struct

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
from tickertape.stream.feeds.history.coinbase import HISTORY
from tickertape.stream.feeds.hosts import known


class _Match(Struct, Generic[wire.N], tag_field="type", tag="match"):
    product_id: str
    trade_id: Id
    time: wire.Moment
    price: wire.N
    size: wire.N
    side: wire.Side


# The trade before the subscription. After a gap it shows how many are missing.
class _LastMatch(_Match[wire.N], Generic[wire.N], tag_field="type", tag="last_match"):
    pass


class _Ticker(Struct, Generic[wire.N], tag_field="type", tag="ticker"):
    product_id: str
    sequence: Id
    time: wire.Moment | None = None
    best_bid: wire.N | None = None
    best_bid_size: wire.N | None = None
    best_ask: wire.N | None = None
    best_ask_size: wire.N | None = None


class _Snapshot(Struct, tag_field="type", tag="snapshot"):
    product_id: str
    bids: wire.Levels
    asks: wire.Levels
    time: wire.Moment | None = None


class _Update(Struct, tag_field="type", tag="l2update"):
    product_id: str
    changes: list[tuple[Literal["buy", "sell"], wire.Text, wire.Text]]
    time: wire.Moment


class _Subscribed(Struct):
    name: str
    product_ids: list[str]


class _Answer(Struct):
    type: str
    channels: list[_Subscribed] = []
    message: str = ""
    reason: str = ""


_read = wire.readers(
    _Match[Positive] | _LastMatch[Positive] | _Ticker[wire.Amount] | _Snapshot | _Update,
    _Match[Decimal] | _LastMatch[Decimal] | _Ticker[Decimal] | _Snapshot | _Update,
)
_answer = msgspec.json.Decoder(_Answer).decode


class Coinbase(Exchange):
    """Coinbase Exchange; see `Exchange`."""

    setting = "TICKERTAPE_COINBASE_URL"
    limits = known.COINBASE
    histories: ClassVar = {"trades": HISTORY}
    contiguous = (Trade,)
    rising = (Quote,)
    messages_per_second = 20.0
    marks = (b'"subscriptions"', b'"error"')
    channels: ClassVar = {
        "trades": (Channel("matches", Trade),),
        "quotes": (Channel("ticker", Quote),),
        "books": (Channel("level2_batch", Change),),
    }

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        asked = dict(asking.by_channel(streams))
        if verb == "subscribe":
            # Without heartbeats, a connection with quiet products would seem dead.
            asked["heartbeat"] = list(dict.fromkeys(stream.name for stream in streams))
        channels = [{"name": channel, "product_ids": names} for channel, names in asked.items()]
        return [asking.text_of({"type": verb, "channels": channels})]

    def answered(self, frame: bytes) -> Answer | None:
        said = _answer(frame)
        if said.type == "subscriptions":
            return Answer(confirmed=tuple((each.name, name) for each in said.channels for name in each.product_ids))
        if said.type != "error":
            return None
        why = f"{said.message}: {said.reason}"
        return Answer(refused=tuple(("", name) for name in asking.named_in(why, self.theirs)), why=why)

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | Other:
        said = _read[self.exact](frame)
        if isinstance(said, Other):
            return said
        symbol = self.names.ours(said.product_id)
        if isinstance(said, _Match):
            # It is the side of the maker, whose order was in the book.
            side: wire.Side = "buy" if said.side == "sell" else "sell"
            time_ms = wire.ms_of(said.time)
            return making.trade_of(symbol, self.name, said.trade_id, time_ms, received_ms, said.price, said.size, side)
        time_ms = wire.ms_of(said.time) if said.time else received_ms
        if isinstance(said, _Ticker):
            best = (each or 0.0 for each in (said.best_bid, said.best_bid_size, said.best_ask, said.best_ask_size))
            return making.quote_of(symbol, self.name, said.sequence, time_ms, received_ms, *best)
        if isinstance(said, _Snapshot):
            bids, asks = said.bids, said.asks
        else:
            bids = [(price, size) for side, price, size in said.changes if side == "buy"]
            asks = [(price, size) for side, price, size in said.changes if side == "sell"]
        return making.change_of(
            symbol, self.name, time_ms, received_ms, bids, asks, is_snapshot=isinstance(said, _Snapshot)
        )


class CoinbaseSettings(ExchangeSettings, frozen=True):
    """The settings of the feed."""

    url: str = "wss://ws-feed.exchange.coinbase.com"
    info_url: str = "https://api.exchange.coinbase.com/products"


FEED = feed_of(
    "coinbase", "Coinbase Exchange's trades and quotes. A symbol is written as BTC-USD.", Coinbase, CoinbaseSettings
)
FORMAT = recorded("coinbase", Coinbase, CoinbaseSettings())

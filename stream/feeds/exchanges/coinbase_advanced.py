"""Coinbase Advanced Trade: trades, quotes of the ticker, and books."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar, Generic, Literal

from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import asking, making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change, Level
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.history.coinbase import HISTORY
from tickertape.stream.feeds.hosts import known


class _Trade(Struct, Generic[wire.N]):
    trade_id: Id
    product_id: str
    price: wire.N
    size: wire.N
    side: Literal["BUY", "SELL"]
    time: wire.Moment


class _Ticker(Struct, Generic[wire.M]):
    product_id: str
    best_bid: wire.M
    best_bid_quantity: wire.M
    best_ask: wire.M
    best_ask_quantity: wire.M


class _Level(Struct):
    side: Literal["bid", "offer"]
    price_level: wire.Text
    new_quantity: wire.Text


class _Event(Struct, Generic[wire.N, wire.M]):
    type: str = ""
    product_id: str = ""
    trades: list[_Trade[wire.N]] = []
    tickers: list[_Ticker[wire.M]] = []
    updates: list[_Level] = []
    subscriptions: dict[str, list[str]] = {}


class _Message(Struct, Generic[wire.N, wire.M]):
    channel: str = ""
    timestamp: wire.Moment | None = None
    sequence_num: Id = 0
    events: list[_Event[wire.N, wire.M]] = []
    type: str = ""
    message: str = ""


_message = wire.decoders(_Message[Positive, wire.Amount], _Message[Decimal, Decimal])
_SIDES: dict[str, Any] = {"maker": {"BUY": "sell", "SELL": "buy"}, "taker": {"BUY": "buy", "SELL": "sell"}}


class CoinbaseAdvanced(Exchange):
    """Coinbase Advanced Trade; see `Exchange`."""

    setting, marks = "TICKERTAPE_COINBASEADVANCED_URL", (b'"subscriptions"', b'"error"')
    contiguous, limits, counter = (Trade,), known.COINBASE, b'"sequence_num":'
    histories: ClassVar = {"trades": HISTORY}
    # Without heartbeats, a connection without updates ends after a minute.
    hello = ('{"type":"subscribe","channel":"heartbeats"}',)
    channels: ClassVar = {
        "trades": (Channel("market_trades", Trade),),
        "quotes": (Channel("ticker", Quote),),
        "books": (Channel("level2", Change),),
    }

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        return [
            asking.text_of({"type": verb, "product_ids": names, "channel": channel})
            for channel, names in asking.by_channel(streams)
        ]

    def answered(self, frame: bytes) -> Answer | None:
        said = _message[self.exact](frame)
        if said.type == "error":
            refused = tuple(("", name) for name in asking.named_in(said.message, self.theirs))
            return Answer(refused=refused, why=said.message)
        if said.channel != "subscriptions":
            return None
        lists = [each for event in said.events for each in event.subscriptions.items()]
        return Answer(confirmed=tuple((channel, name) for channel, names in lists for name in names))

    def normalise(self, frame: bytes, received_ms: int) -> list[Event | Change] | Other:
        said, at, ours, source = _message[self.exact](frame), received_ms, self.names.ours, self.name
        found: list[Event | Change] = []
        if said.channel == "market_trades":
            sides = _SIDES[self.settings.side_of]
            for event in said.events:
                # The newest is first.
                for t in reversed(event.trades):
                    symbol, time_ms = ours(t.product_id), wire.ms_of(t.time)
                    found.append(
                        making.trade_of(symbol, source, t.trade_id, time_ms, at, t.price, t.size, sides[t.side])
                    )
        elif said.channel in ("ticker", "l2_data"):
            if said.timestamp is None:
                raise ValueError(f"a message of {said.channel} without a timestamp")
            time_ms, number = wire.ms_of(said.timestamp), wire.us_of(said.timestamp)
            for event in said.events:
                for raw in event.tickers:
                    best = raw.best_bid, raw.best_bid_quantity, raw.best_ask, raw.best_ask_quantity
                    quote = making.quote_of(ours(raw.product_id), source, number, time_ms, at, *best)
                    found += [] if isinstance(quote, Other) else [quote]
                if said.channel == "l2_data":
                    found.append(self._change(event, time_ms, at, said.sequence_num))
        return found or Other((said.channel or said.type or "unnamed")[: wire.MOST_LETTERS])

    def _change(self, event: _Event[float, float], time_ms: int, at: int, number: int) -> Change:
        if event.type not in ("snapshot", "update"):
            raise ValueError(f"a book's {event.type[: wire.MOST_LETTERS]!r}")
        symbol, whole = self.names.ours(event.product_id), event.type == "snapshot"
        sides: dict[str, list[Level]] = {"bid": [], "offer": []}
        for level in event.updates:
            sides[level.side].append((level.price_level, level.new_quantity))
        return making.change_of(symbol, self.name, time_ms, at, *sides.values(), is_snapshot=whole, last=number)


class CoinbaseAdvancedSettings(ExchangeSettings, frozen=True):
    """The settings of the feed.

    Attributes
    ----------
    side_of
        Whose side a trade has in a message: ``maker``, or ``taker``. Coinbase doesn't say it clearly.
    """

    url: str = "wss://advanced-trade-ws.coinbase.com"
    info_url: str = "https://api.coinbase.com/api/v3/brokerage/market/products"
    side_of: Literal["maker", "taker"] = "maker"


ABOUT = "Coinbase Advanced's trades and quotes. A symbol is written as BTC-USD."
FEED = feed_of("coinbaseadvanced", ABOUT, CoinbaseAdvanced, CoinbaseAdvancedSettings)
FORMAT = recorded("coinbaseadvanced", CoinbaseAdvanced, CoinbaseAdvancedSettings())

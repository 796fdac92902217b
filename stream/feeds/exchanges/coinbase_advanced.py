"""Coinbase Advanced Trade: trades, quotes of the ticker, and books."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import asking, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.naming import feed_of


class _Trade(Struct):
    trade_id: Id
    product_id: str
    price: Positive
    size: Positive
    side: Literal["BUY", "SELL"]
    time: wire.Moment


class _Traded(Struct):
    trades: list[_Trade]


class _Trades(Struct, tag_field="channel", tag="market_trades"):
    events: list[_Traded]


class _Ticker(Struct):
    product_id: str
    best_bid: wire.Amount
    best_bid_quantity: wire.Amount
    best_ask: wire.Amount
    best_ask_quantity: wire.Amount


class _Ticked(Struct):
    tickers: list[_Ticker]


class _Tickers(Struct, tag_field="channel", tag="ticker"):
    timestamp: wire.Moment
    events: list[_Ticked]


class _Level(Struct):
    side: Literal["bid", "offer"]
    price_level: wire.Text
    new_quantity: wire.Text


class _Changed(Struct):
    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[_Level]


class _Books(Struct, tag_field="channel", tag="l2_data"):
    timestamp: wire.Moment
    sequence_num: Id
    events: list[_Changed]


class _Subscribed(Struct):
    subscriptions: dict[str, list[str]]


class _Answer(Struct):
    type: str = ""
    message: str = ""
    channel: str = ""
    events: list[_Subscribed] = []


_read = wire.reader(msgspec.json.Decoder(_Trades | _Tickers | _Books, strict=False))
_answer = msgspec.json.Decoder(_Answer).decode


class CoinbaseAdvanced(Exchange):
    """Coinbase Advanced Trade; see `Exchange`."""

    setting = "TICKERTAPE_COINBASEADVANCED_URL"
    contiguous = (Trade,)
    # Without heartbeats, a connection without updates ends after a minute.
    hello = ('{"type":"subscribe","channel":"heartbeats"}',)
    marks = (b'"subscriptions"', b'"error"')
    channels: ClassVar = {
        "trades": (Channel("market_trades", Trade),),
        "quotes": (Channel("ticker", Quote),),
        "books": (Channel("level2", Change),),
    }

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        return [
            asking.text_of({"type": verb, "product_ids": names, "channel": channel})
            for channel, names in asking.by_channel(streams).items()
        ]

    def answered(self, frame: bytes) -> Answer | None:
        said = _answer(frame)
        if said.type == "error":
            refused = tuple(("", name) for name in asking.named_in(said.message, self.theirs))
            return Answer(refused=refused, why=said.message)
        if said.channel != "subscriptions":
            return None
        lists = [each for event in said.events for each in event.subscriptions.items()]
        return Answer(confirmed=tuple((channel, name) for channel, names in lists for name in names))

    def normalise(self, frame: bytes, received_ms: int) -> list[Event | Change] | Other:
        said, at = _read(frame), received_ms
        ours, source = self.names.ours, self.name
        if isinstance(said, Other):
            return said
        if isinstance(said, _Trades):
            sides = _SIDES[self.settings.side_of]
            # The newest is first.
            trades = [raw for event in said.events for raw in reversed(event.trades)]
            return [
                wire.trade_of(
                    *(ours(raw.product_id), source, raw.trade_id, wire.ms_of(raw.time), at),
                    *(raw.price, raw.size, sides[raw.side]),
                )
                for raw in trades
            ] or Other("market_trades")
        time_ms = wire.ms_of(said.timestamp)
        found: list[Event | Change] = []
        if isinstance(said, _Tickers):
            for raw in (ticker for event in said.events for ticker in event.tickers):
                best = raw.best_bid, raw.best_bid_quantity, raw.best_ask, raw.best_ask_quantity
                number = wire.us_of(said.timestamp)
                quote = wire.quote_of(ours(raw.product_id), source, number, time_ms, at, *best)
                found += [] if isinstance(quote, Other) else [quote]
            return found or Other("empty book")
        for event in said.events:
            bids = [(level.price_level, level.new_quantity) for level in event.updates if level.side == "bid"]
            asks = [(level.price_level, level.new_quantity) for level in event.updates if level.side == "offer"]
            whole, symbol = event.type == "snapshot", ours(event.product_id)
            numbers = {"last": said.sequence_num}
            found.append(wire.change_of(symbol, source, time_ms, at, bids, asks, is_snapshot=whole, **numbers))
        return found


Side = Literal["buy", "sell"]
_SIDES: dict[str, dict[str, Side]] = {
    "maker": {"SELL": "buy", "BUY": "sell"},
    "taker": {"BUY": "buy", "SELL": "sell"},
}


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


FEED = feed_of(
    "coinbaseadvanced",
    "Coinbase Advanced's trades and quotes. A symbol is written as BTC-USD.",
    CoinbaseAdvanced,
    CoinbaseAdvancedSettings,
)

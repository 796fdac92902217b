"""Bybit v5, spot: trades, quotes and books."""

import itertools
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Generic, Literal

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive, TextId, TimeMs
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import asking, making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.names import Names
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.hosts import known

# More in a request are refused on spot.
MOST_ASKED = 10


class Message(Struct):
    topic: str = ""
    type: Literal["snapshot", "delta", ""] = ""
    ts: TimeMs = 0
    cts: TimeMs = 0
    data: Raw = Raw(b"null")
    op: str = ""
    ret_msg: str = ""
    success: bool = True
    req_id: str = ""


class _Trade(Struct, Generic[wire.N]):
    s: str
    i: TextId
    T: TimeMs
    p: wire.N
    v: wire.N
    S: Literal["Buy", "Sell"]
    seq: Id | None = None
    BT: bool = False


class _Book(Struct):
    s: str
    u: Id
    b: wire.Levels
    a: wire.Levels


message = msgspec.json.Decoder(Message, strict=False).decode
_trades = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])
_book = msgspec.json.Decoder(_Book, strict=False).decode
SIDES: dict[str, wire.Side] = {"Buy": "buy", "Sell": "sell"}


class Bybit(Exchange):
    """A category of Bybit's markets; see `Exchange`. Ids of trades say nothing of gaps, so they are texts."""

    setting = "TICKERTAPE_BYBIT_URL"
    limits = known.BYBIT
    rising = (Quote,)
    ping = ('{"op":"ping"}', 20.0)
    marks = (b'"op"',)

    def __init__(self, settings: ExchangeSettings, symbols: Sequence[str], names: Names, name: str) -> None:
        super().__init__(settings, symbols, names, name)
        self._numbers = itertools.count(1)
        self._asked: dict[str, Sequence[str]] = {}

    def words(self) -> Mapping[str, Sequence[Channel]]:
        return {
            "trades": (Channel("publicTrade", Trade),),
            "quotes": (Channel("orderbook.1", Quote),),
            "books": (Channel(f"orderbook.{self.settings.depth}", Change),),
        }

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        # A confirmation names no topics, so the number of a request says which. A refusal is of the whole request.
        messages = []
        for some in asking.parts([f"{stream.channel}.{stream.name}" for stream in streams], MOST_ASKED):
            number = str(next(self._numbers))
            self._asked[number] = some
            messages.append(asking.text_of({"req_id": number, "op": verb, "args": some}))
        return messages

    def answered(self, frame: bytes) -> Answer | None:
        said = message(frame)
        asked = self._asked.pop(said.req_id, ())
        if said.op != "subscribe":
            return None
        if said.success:
            return Answer(confirmed=tuple(map(_pair, asked)))
        topics = [f"{stream.channel}.{stream.name}" for _, streams in self._lines for stream in streams]
        return Answer(refused=tuple(map(_pair, asking.named_in(said.ret_msg, topics) or asked)), why=said.ret_msg)

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | list[Event | Change] | Other:
        said, at = message(frame), received_ms
        channel, ours, source = said.topic.partition(".")[0], self.names.ours, self.name
        if channel == "publicTrade":
            # Block trades are not made in the book.
            return [
                making.trade_of(ours(t.s), source, t.i, t.T, at, t.p, t.v, SIDES[t.S], sequence=t.seq)
                for t in _trades[self.exact](said.data)
                if not t.BT
            ] or Other("block trades")
        if channel != "orderbook":
            return Other((channel or said.ret_msg or said.op or "unnamed")[: wire.MOST_LETTERS])
        book, time_ms = _book(said.data), said.cts or said.ts or at
        symbol = ours(book.s)
        if said.topic.startswith("orderbook.1."):
            best = (*wire.best(book.b, exact=self.exact), *wire.best(book.a, exact=self.exact))
            return making.quote_of(symbol, source, book.u, time_ms, at, *best)
        # Number 1: the service has started again, with a new book.
        whole = said.type == "snapshot" or book.u == 1
        numbers = {"first": book.u, "last": book.u}
        return making.change_of(symbol, source, time_ms, at, book.b, book.a, is_snapshot=whole, **numbers)


def _pair(topic: str) -> tuple[str, str]:
    channel, _, name = topic.rpartition(".")
    return channel, name


class BybitSettings(ExchangeSettings, frozen=True):
    """The settings of the feed. A book may have 50, 200 or 1000 levels."""

    url: str = "wss://stream.bybit.com/v5/public/spot"
    info_url: str = "https://api.bybit.com/v5/market/instruments-info?category=spot"
    depth: int = 50


FEED = feed_of("bybit", "Bybit's spot trades and quotes. A symbol is written as BTC-USDT.", Bybit, BybitSettings)
FORMAT = recorded("bybit", Bybit, BybitSettings())

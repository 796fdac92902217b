"""OKX v5, spot: trades, quotes and books."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, ClassVar, Generic, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import Id, Positive, TimeMs
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import asking, making, wire
from tickertape.stream.feeds.adapt.exchange import Channel, Exchange, ExchangeSettings
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.exchanges.feeding import feed_of, recorded
from tickertape.stream.feeds.history.okx import HISTORY
from tickertape.stream.feeds.hosts import known
from tickertape.stream.feeds.snapshots.okx import BOOKS


class _Argument(Struct, rename="camel", frozen=True):
    channel: str
    inst_id: str = ""


class Message(Struct):
    arg: _Argument = _Argument("")
    event: str = ""
    code: str = ""
    msg: str = ""
    action: Literal["snapshot", "update", ""] = ""
    data: Raw = Raw(b"null")


class _Trade(Struct, Generic[wire.N], rename="camel"):
    inst_id: str
    trade_id: Id
    px: wire.N
    sz: wire.N
    side: wire.Side
    ts: TimeMs
    # An aggregate has the number of its last trade.
    count: Annotated[int, Meta(ge=1, le=1 << 30)] = 1


class _Level(Struct, array_like=True):
    price: wire.Text
    quantity: wire.Text


class _Book(Struct, rename="camel"):
    bids: list[_Level]
    asks: list[_Level]
    ts: TimeMs
    seq_id: Id
    prev_seq_id: int = -1
    checksum: int = 0


message = msgspec.json.Decoder(Message).decode
_trades = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])
_books = msgspec.json.Decoder(list[_Book], strict=False).decode


class Okx(Exchange):
    """OKX's spot market; see `Exchange`."""

    setting = "TICKERTAPE_OKX_URL"
    contiguous, rising, limits, snapshots = (Trade,), (Quote,), known.OKX, BOOKS
    histories: ClassVar = {"trades": HISTORY}
    ping = ("ping", 20.0)
    messages_per_second = 3.0
    marks = (b'"event"',)
    channels: ClassVar = {
        "trades": (Channel("trades-all", Trade, route=1),),
        "aggregates": (Channel("trades", Trade),),
        "quotes": (Channel("bbo-tbt", Quote),),
        "books": (Channel("books", Change),),
    }

    def routes(self) -> Sequence[str]:
        return [f"{self.settings.url}/public", f"{self.settings.url}/business"]

    def ask(self, verb: str, streams: Sequence[Stream]) -> Sequence[str]:
        arguments = list({tuple(one.items()): one for one in map(self.argument, streams)}.values())
        return [asking.text_of({"op": verb, "args": some}) for some in asking.parts(arguments, most=200)]

    def argument(self, stream: Stream) -> dict[str, str]:
        return {"channel": stream.channel, "instId": stream.name}

    def answered(self, frame: bytes) -> Answer | None:
        said = message(frame)
        if said.event == "subscribe":
            return Answer(confirmed=((said.arg.channel, said.arg.inst_id),))
        if said.event != "error":
            return None
        found = re.search(r"channel: ?([\w-]+)(?:, ?instId: ?([\w-]+))?", said.msg)
        refused = ((found[1], found[2] or ""),) if found else ()
        return Answer(refused=refused, why=f"{said.code} {said.msg}")

    def leaves(self, frame: bytes) -> bool:
        # A notice of an upgrade, for which the server ends its connections.
        return b'"64008"' in frame and b'"notice"' in frame

    def normalise(self, frame: bytes, received_ms: int) -> Event | Change | list[Event | Change] | Other:
        if frame == b"pong":
            return Other("pong")
        said, at, source = message(frame), received_ms, self.name
        channel = said.arg.channel
        if said.event or channel not in ("trades", "trades-all", "bbo-tbt", "books"):
            return Other((said.event or channel or "unnamed")[: wire.MOST_LETTERS])
        if channel.startswith("trades"):
            return [self._trade(raw, at) for raw in _trades[self.exact](said.data)]
        symbol, per = self.names.ours(said.arg.inst_id), self.names.base_per_unit(said.arg.inst_id)
        found: list[Event | Change] = []
        for book in _books(said.data):
            bids, asks = ([(level.price, level.quantity) for level in side] for side in (book.bids, book.asks))
            if channel == "books":
                previous, whole = book.prev_seq_id if book.prev_seq_id >= 0 else None, said.action == "snapshot"
                numbers = {"last": book.seq_id, "previous": previous, "checksum": book.checksum or None}
                found.append(making.change_of(symbol, source, book.ts, at, bids, asks, is_snapshot=whole, **numbers))
            else:
                best = (*wire.best(bids, per, exact=self.exact), *wire.best(asks, per, exact=self.exact))
                quote = making.quote_of(symbol, source, book.seq_id, book.ts, at, *best)
                found += [] if isinstance(quote, Other) else [quote]
        return found or Other("empty book")

    def _trade(self, raw: _Trade[float], at: int) -> Trade:
        symbol, first = self.names.ours(raw.inst_id), raw.trade_id - raw.count + 1
        if first < 0:
            raise ValueError(f"trade {raw.trade_id} of {symbol} stands for {raw.count} trades")
        quantity = wire.in_base(raw.sz, self.names.base_per_unit(raw.inst_id))
        return making.trade_of(symbol, self.name, first, raw.ts, at, raw.px, quantity, raw.side, last_id=raw.trade_id)


class OkxSettings(ExchangeSettings, frozen=True):
    """The settings of the feed."""

    url: str = "wss://ws.okx.com:8443/ws/v5"
    info_url: str = "https://www.okx.com/api/v5/public/instruments?instType=SPOT"


FEED = feed_of("okx", "OKX's spot trades and quotes. A symbol is written as BTC-USDT.", Okx, OkxSettings)
FORMAT = recorded("okx", Okx, OkxSettings())

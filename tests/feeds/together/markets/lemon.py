"""Lemon, an exchange that isn't there, as somebody would add it who has read docs/feeds.md and nothing else."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tickertape import Event, Feed, Limit, Limits, Other, Page, Source, Stream, StreamAnswer, Trade, UnknownSymbol


class Message(Struct):
    """A message: a trade if it has a number, or else the answer to a subscription, or a heartbeat."""

    pair: str = ""
    n: int = 0
    at: int = 0
    p: float = 0.0
    q: float = 0.0
    by: str = ""
    said: str = ""
    why: str = ""


decode = msgspec.json.Decoder(Message).decode
decode_page = msgspec.json.Decoder(list[Message]).decode
Get = Callable[[str, float], Awaitable[bytes]]
MOST_A_PAGE = 100


class Lemon(Source):
    """Trades of some pairs, which Lemon writes as ``BTC_USD``."""

    setting = "TICKERTAPE_LEMON_URL"
    kinds = (Trade,)
    contiguous = (Trade,)
    refills = True
    limits = Limits(requests=Limit(100, 10.0))

    def __init__(self, settings: "LemonSettings", symbols: Sequence[str], name: str) -> None:
        self.name, self.symbols = name, list(symbols)
        self._settings = settings
        for symbol in symbols:
            if not symbol.endswith("-USD"):
                raise UnknownSymbol(f"lemon: no pair {symbol}; all of Lemon's are in USD, such as BTC-USD")

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - Lemon can't resume
        return [self._settings.url]

    def streams(self, line: int) -> Sequence[Stream]:  # noqa: ARG002 - there is one connection
        return [Stream(kind=Trade, symbol=one, channel="trades", name=one.replace("-", "_")) for one in self.symbols]

    def subscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return [msgspec.json.encode({"ask": [one.name for one in streams]}).decode()]

    def unsubscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return [msgspec.json.encode({"end": [one.name for one in streams]}).decode()]

    def answer(self, frame: bytes) -> StreamAnswer | None:
        message = decode(frame)
        if message.said == "yes":
            return StreamAnswer(confirmed=(("trades", message.pair),))
        return StreamAnswer(refused=(("trades", message.pair),), why=message.why) if message.said == "no" else None

    def normalise(self, frame: bytes, received_ms: int) -> Event | Other:
        message = decode(frame)
        return self._trade(message, received_ms) if message.n else Other(message.said)

    async def missed(self, get: Get, symbol: str, first: int, last: int | None, since_ms: int) -> Page:  # noqa: ARG002 - it is asked by number
        pair = quote(symbol.replace("-", "_"))
        found = decode_page(await get(f"{self._settings.history_url}/{pair}?from={first}", 1.0))
        wanted = [one for one in found if last is None or one.n <= last]
        more = len(found) == MOST_A_PAGE and len(wanted) == len(found)
        return Page([self._trade(one, one.at) for one in wanted], has_more=more)

    def _trade(self, one: Message, received_ms: int) -> Trade:
        return Trade(
            symbol=one.pair.replace("_", "-"),
            source=self.name,
            id=one.n,
            time_ms=one.at,
            price=one.p,
            quantity=one.q,
            side="buy" if one.by == "buyer" else "sell",
            received_ms=received_ms,
        )


class LemonSettings(Struct, frozen=True):
    """The settings of the feed: where trades and their history are."""

    url: str = "wss://stream.lemon.example"
    history_url: str = "https://lemon.example/trades"


FEED = Feed("lemon", "Lemon's trades, live.", Lemon, LemonSettings)

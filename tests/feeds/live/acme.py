"""An exchange that isn't there: the source of its feed, scripts of its server, and how both are run."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, suppress

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tests.feeds.exchange import MIDNIGHT_MS, Exchange, Script, stays
from tests.feeds.live.test_live import PATIENCE
from tickertape.schemas.events import Event
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer, Stream
from tickertape.stream.feeds.live.live import Live

Enough = Callable[[Live, list[Event]], bool]
SYMBOLS = ("BTC-USD", "ETH-USD")
HEARTBEAT = '{"event": "heartbeat"}'


class _Message(Struct):
    event: str = ""
    arg: str = ""
    msg: str = ""
    trade: str = ""
    id: int | str = 0


class Acme(Source):
    """Trades of the channel ``trades``; a symbol is written ``BTC_USD`` there."""

    name = "acme"
    setting = "TICKERTAPE_ACME_URL"
    kinds = (Trade,)
    contiguous = (Trade,)
    messages_per_second = 1000.0

    def __init__(self, url: str, symbols: Sequence[str], most_asked: int = 10) -> None:
        self.symbols = symbols
        self._url = url
        self._most_asked = most_asked

    def urls(self, position: int) -> Sequence[str]:  # noqa: ARG002 - it never resumes
        return [self._url]

    def streams(self, line: int) -> Sequence[Stream]:  # noqa: ARG002 - it has one
        return [stream(symbol) for symbol in self.symbols]

    def subscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return self._ask("subscribe", streams)

    def unsubscribe(self, streams: Sequence[Stream]) -> Sequence[str]:
        return self._ask("unsubscribe", streams)

    def answer(self, frame: bytes) -> Answer | None:
        found = msgspec.json.decode(frame, type=_Message)
        if found.event == "subscribed":
            return Answer(confirmed=(("trades", found.arg),))
        return Answer(refused=(("trades", found.arg),), why=found.msg) if found.event == "error" else None

    def normalise(self, frame: bytes, received_ms: int) -> list[Trade] | Other:
        if frame == b"pong":
            return Other("pong")
        found = msgspec.json.decode(frame, type=_Message)
        if not found.trade:
            return Other(found.event)
        symbol, number = found.trade.replace("_", "-"), found.id
        time_ms = MIDNIGHT_MS + (number if isinstance(number, int) else 0)
        return [
            Trade(
                symbol=symbol,
                source=self.name,
                id=number,
                time_ms=time_ms,
                price=100.5,
                quantity=0.25,
                side="buy",
                received_ms=received_ms,
            )
        ]

    def _ask(self, verb: str, streams: Sequence[Stream]) -> list[str]:
        names = [stream.name for stream in streams]
        parts = [names[first : first + self._most_asked] for first in range(0, len(names), self._most_asked)]
        return [json.dumps({"op": verb, "args": part}) for part in parts]


class Unanswering(Acme):
    """One whose server answers no subscription."""

    answer = Source.answer


class InTheAddress(Acme):
    """One whose streams are in the address."""

    def subscribe(self, streams: Sequence[Stream]) -> Sequence[str]:  # noqa: ARG002 - see above
        return ()


class WithTexts(Acme):
    """One whose ids are texts."""

    contiguous = ()


def stream(symbol: str) -> Stream:
    return Stream(kind=Trade, symbol=symbol, channel="trades", name=symbol.replace("-", "_"))


def trade(number: int | str, symbol: str = "BTC-USD") -> str:
    """Return the message of a trade."""
    return json.dumps({"trade": symbol.replace("-", "_"), "id": number})


Said = Callable[[ServerConnection, list[str]], Awaitable[None]]


class Desk:
    """A script that answers subscriptions.

    Attributes
    ----------
    asked
        What each message asked for, as ``subscribe BTC_USD,ETH_USD``, of all connections.
    """

    def __init__(
        self,
        *,
        refused: Collection[str] = (),
        mute: Collection[str] = (),
        pongs: bool = True,
        once: Said | None = None,
        then: Script = stays,
    ) -> None:
        self._refused = refused
        self._mute = mute
        self._pongs = pongs
        self._once = once
        self._then = then
        self.asked: list[str] = []

    async def __call__(self, socket: ServerConnection) -> None:
        async for message in socket:
            if message == "ping":
                self.asked.append("ping")
                if self._pongs:
                    await socket.send("pong")
                continue
            said = json.loads(message)
            self.asked.append(f"{said['op']} {','.join(said['args'])}")
            if said["op"] == "subscribe":
                for answer in self._answers(said["args"]):
                    await socket.send(answer)
                if self._once is not None:
                    await self._once(socket, said["args"])
        await self._then(socket)

    def _answers(self, names: list[str]) -> Iterator[str]:
        for name in names:
            if name in self._refused:
                yield json.dumps({"event": "error", "arg": name, "msg": f"{name} doesn't exist"})
            elif name not in self._mute:
                yield json.dumps({"event": "subscribed", "arg": name})


def run(
    exchange: Exchange,
    enough: Enough,
    kind: type[Acme] = Acme,
    symbols: Sequence[str] = SYMBOLS,
    *,
    redundant: bool = False,
    **changes: float,
) -> tuple[list[Event], Live]:
    """Run a feed until there is enough."""
    heard: list[Event] = []

    async def listen(live: Live) -> None:
        async with aclosing(live.batches()) as batches:
            async for events in batches:
                heard.extend(events)

    async def scenario() -> Live:
        async with exchange.open():
            patience = replace(PATIENCE, **changes)
            live = Live(kind(exchange.url, symbols), patience, buffer_bytes=64 << 20, redundant=redundant)
            listening = asyncio.create_task(listen(live))
            async with asyncio.timeout(20):
                while not enough(live, heard):
                    await asyncio.sleep(0.005)
                    if listening.done():
                        listening.result()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            return live

    return heard, asyncio.run(scenario())


def ids(events: list[Event], symbol: str = "BTC-USD") -> list[int | str]:
    return [event.id for event in events if event.symbol == symbol]


def beside(script: Script) -> Callable[[ServerConnection, list[str]], Awaitable[None]]:
    """Return what begins a script beside the answers to subscriptions."""
    tasks: list[asyncio.Future[None]] = []

    async def until_closed(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await script(socket)

    async def begin(socket: ServerConnection, _: list[str]) -> None:
        tasks.append(asyncio.ensure_future(until_closed(socket)))

    return begin


def counts(symbol: str = "BTC-USD", first: int = 1) -> Script:
    """Return a script that says one trade after the other."""

    async def script(socket: ServerConnection) -> None:
        number = first
        while True:
            await socket.send(trade(number, symbol))
            number += 1
            await asyncio.sleep(0.01)

    return script

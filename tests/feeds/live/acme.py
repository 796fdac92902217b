"""An exchange that isn't there: the source of its feed, and scripts of its server."""

import json
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence

import msgspec
from msgspec import Struct
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import MIDNIGHT_MS, Script, stays
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer, Stream


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

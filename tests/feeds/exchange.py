"""A WebSocket server on this machine that does, connection by connection, what a test has written down."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus

from websockets.asyncio.server import Request, Response, Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.exchanges.feeding import names_of

Script = Callable[[ServerConnection], Awaitable[None]]

# 2024-08-09 00:00:00 UTC.
MIDNIGHT_MS = 1_723_161_600_000


class Exchange:
    """Its n-th connection goes by the n-th script, and all that come after the last by that.

    Attributes
    ----------
    asked
        The path of each request.
    ended
        How each connection ended, in that order: the code of the client's closing frame, or None where it sent none.
    calls
        Has one for each request that nobody has acquired.
    """

    def __init__(self, *scripts: Script | Response) -> None:
        self._scripts = scripts
        self._server: Server
        self.asked: list[str] = []
        self.ended: list[int | None] = []
        self.calls = asyncio.Semaphore(0)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/stream"

    @property
    def port(self) -> int:
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[None]:
        async with serve(
            self._serve, "127.0.0.1", port, process_request=self._answer, ping_interval=None, close_timeout=0.2
        ) as self._server:
            yield

    def _script(self) -> Script | Response:
        return self._scripts[min(len(self.asked), len(self._scripts)) - 1]

    def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        self.asked.append(request.path)
        self.calls.release()
        script = self._script()
        return script if isinstance(script, Response) else None

    async def _serve(self, socket: ServerConnection) -> None:
        script = self._script()
        assert not isinstance(script, Response)
        try:
            await script(socket)
        except ConnectionClosed:
            pass
        finally:
            await socket.close()
            self.ended.append(socket.protocol.close_rcvd.code if socket.protocol.close_rcvd else None)


def refusal(status: HTTPStatus, body: str, **headers: str) -> Response:
    """Return an answer by HTTP that is no handshake."""
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()}, Content_Length=str(len(body)))
    return Response(status.value, status.phrase, named, body.encode())


def binance_at(url: str, symbols: Sequence[str] = ("BTCUSDT",), history_url: str = "") -> Binance:
    """Return Binance as a source, at other addresses; without one of its history it asks for no missing trades."""
    settings = BinanceSettings(url=url, refill=bool(history_url), history_url=history_url)
    return Binance(settings, symbols, names_of("binance", ""), "binance")


def trade(number: int, symbol: str = "BTCUSDT") -> str:
    """Return the message of a trade, a millisecond after the one before."""
    data = {"e": "trade", "E": MIDNIGHT_MS + number, "s": symbol, "t": number, "p": "100.5", "q": "0.25"}
    data |= {"T": MIDNIGHT_MS + number, "m": False, "M": True}
    return json.dumps({"stream": f"{symbol.lower()}@trade", "data": data})


def quote(number: int, symbol: str = "BTCUSDT") -> str:
    """Return the message of a quote."""
    data = {"u": number, "s": symbol, "b": "100.4", "B": "1.5", "a": "100.6", "A": "2.5"}
    return json.dumps({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def named_missing(text: str) -> list[range]:
    """Return the gaps that log lines name."""
    named = re.findall(r"missing, ids? (\d+)(?: to (\d+))?", text)
    return [range(int(first), int(last or first) + 1) for first, last in named]


def says(*messages: str | bytes, then: Script | None = None) -> Script:
    """Return a script: these messages, then another; with none it leaves tidily."""

    async def script(socket: ServerConnection) -> None:
        for message in messages:
            await socket.send(message, text=True)
        if then is not None:
            await then(socket)

    return script


async def stays(socket: ServerConnection) -> None:
    """Keep the connection, and say nothing."""
    await socket.wait_closed()


async def breaks(socket: ServerConnection) -> None:
    """Break the connection off."""
    # What was sent before is to arrive.
    await asyncio.sleep(0.02)
    socket.transport.abort()


async def freezes(socket: ServerConnection) -> None:
    """Hear nothing any more, not even pings."""
    socket.transport.pause_reading()
    await asyncio.sleep(0.6)
    socket.transport.abort()


def closes(code: int, reason: str = "") -> Script:
    """Return a script that ends the connection with a code."""

    async def script(socket: ServerConnection) -> None:
        await socket.close(code, reason)

    return script


def post(time_us: int) -> str:
    """Return the event of a Jetstream in which a post is created; all that it says follows from the time."""
    written = datetime.fromtimestamp(time_us / 1e6 - 1, UTC).isoformat()
    record = {"$type": "app.bsky.feed.post", "createdAt": written, "text": "to the moon", "langs": ["en"]}
    commit = {"rev": "r", "operation": "create", "collection": "app.bsky.feed.post", "rkey": f"k{time_us}"}
    return json.dumps(
        {"did": f"did:plc:{time_us % 7}", "time_us": time_us, "kind": "commit", "commit": commit | {"record": record}}
    )


def drips(message: str, piece_bytes: int = 7, then: Script | None = None) -> Script:
    """Return a script that sends the frame of a message in small pieces, with pauses between."""

    async def script(socket: ServerConnection) -> None:
        frame = Frame(Opcode.TEXT, message.encode()).serialize(mask=False)
        for first in range(0, len(frame), piece_bytes):
            socket.transport.write(frame[first : first + piece_bytes])
            await asyncio.sleep(0.005)
        if then is not None:
            await then(socket)

    return script


def floods(*messages: str, then: Script | None = None) -> Script:
    """Return a script that sends messages as fast as they are taken."""

    async def script(socket: ServerConnection) -> None:
        for first in range(0, len(messages), 1000):
            frames = [Frame(Opcode.TEXT, message.encode()) for message in messages[first : first + 1000]]
            socket.transport.write(b"".join(frame.serialize(mask=False) for frame in frames))
            await socket.drain()
        if then is not None:
            await then(socket)

    return script


def beats(message: str, seconds: float = 0.02) -> Script:
    """Return a script that says the same again and again: a heartbeat."""

    async def script(socket: ServerConnection) -> None:
        while True:
            await socket.send(message)
            await asyncio.sleep(seconds)

    return script

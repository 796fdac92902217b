"""The page's socket: it watches the board, results and the pipeline, and gets what has changed."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct
from starlette.websockets import WebSocket, WebSocketDisconnect

from tickertape.stream.api.answers import Refused, encode
from tickertape.stream.api.asked import MOST_MS, MOST_RESULTS, now_ms, selection, sink_at
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.selection import ALL

# At most ten messages a second for each watch.
LEAST_SECONDS = 0.1
PING_SECONDS = 5.0
# The state of the pipeline changes without results.
WAIT_SECONDS = 0.5
# A client that takes no message for so long is gone, or can't keep up.
SEND_SECONDS = 30.0
MOST_WATCHES = 64
_MOST_CHARACTERS = 200
_TOO_SLOW, _GOING_AWAY = 1013, 1001


class Asked(Struct, forbid_unknown_fields=True):
    """A message from the page. See docs/api.md."""

    id: int
    watch: Literal["board", "results", "pipeline"] | None = None
    end: bool = False
    topic: str = ""
    symbol: str = ""
    source: str = ALL
    resolution: str = ""
    kind: str = ""
    finals: bool = False
    last: int = 500


class Watch(Protocol):
    """Something that is watched."""

    def snapshot(self) -> bytes:
        """Return all of it, as JSON."""

    def delta(self) -> bytes | None:
        """Return what has changed since the last call of either, as JSON; None if nothing has.

        Raises
        ------
        TooSlow
            What has changed since is no longer known.
        """


class TooSlow(Exception):  # noqa: N818 - of the client
    """A client is too far behind."""


class Ended(Exception):  # noqa: N818 - of the server
    """The server ends."""


class WatchedBoard:
    def __init__(self, recent: Recent) -> None:
        self._board = recent.board
        self._number = 0

    def snapshot(self) -> bytes:
        self._number = self._board.number
        return self._board.snapshot()

    def delta(self) -> bytes | None:
        since, self._number = self._number, self._board.number
        return None if since == self._number else self._board.delta(since)


class WatchedResults:
    """The results of a topic that pass some filters."""

    def __init__(self, recent: Recent, asked: Asked) -> None:
        sink = sink_at(recent.sinks, asked.topic)
        if not 1 <= asked.last <= MOST_RESULTS:
            raise Refused(400, f"last must be from 1 to {MOST_RESULTS}")
        self._recent, self._topic, self._last = recent, asked.topic, asked.last
        self._rounds = recent.rounds[asked.topic]
        self._selection = selection(
            sink,
            symbols=_some(asked.symbol),
            sources=_some(asked.source),
            resolutions=_some(asked.resolution),
            kinds=_some(asked.kind),
            finals=asked.finals,
        )
        self._number = 0

    def snapshot(self) -> bytes:
        self._number = self._rounds.number
        newest = self._recent.between(self._topic, self._selection, 0, MOST_MS, newest_first=True)
        return _results(list(islice(newest, self._last))[::-1])

    def delta(self) -> bytes | None:
        if self._rounds.number == self._number:
            return None
        if not self._rounds.knows(self._number):
            raise TooSlow
        rounds = list(self._rounds.after(self._number))
        self._number = self._rounds.number
        key = "live", self._selection
        if len(rounds) == 1:
            (one,) = rounds
            if key not in one.encoded:
                found = self._selection.of(one.changes)
                one.encoded[key] = _results(found) if found else b""
            return one.encoded[key] or None
        merged: dict[tuple[Series, int], Held] = {}
        for one in rounds:
            merged |= {(held.series, held.start_ms): held for held in self._selection.of(one.changes)}
        return _results(list(merged.values())) if merged else None


class WatchedPipeline:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._sent = b""

    def snapshot(self) -> bytes:
        self._sent = self._pipeline.json
        return self._sent

    def delta(self) -> bytes | None:
        if self._pipeline.json is self._sent:
            return None
        return self.snapshot()


class Live:
    """One socket of the page.

    Parameters
    ----------
    socket
        The socket, not accepted yet.
    recent
        The results.
    pipeline
        The state of the pipeline.
    hello
        What the page is told first.
    """

    def __init__(self, socket: WebSocket, recent: Recent, pipeline: Pipeline, hello: dict[str, Any]) -> None:
        self._socket = socket
        self._recent = recent
        self._pipeline = pipeline
        self._hello = hello
        self._watches: dict[int, Watch] = {}
        self._numbers: dict[int, int] = {}
        self._pipelines = 0
        self._says: list[bytes] = []
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        await self._socket.accept()
        self._says.append(encode({"hello": self._hello | {"now_ms": now_ms()}}))
        code = 0
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                await self._receive()
        except* WebSocketDisconnect:
            pass
        except* (TimeoutError, TooSlow):
            code = _TOO_SLOW
        except* Ended:
            code = _GOING_AWAY
        finally:
            for _ in range(self._pipelines):
                self._pipeline.unwatch()
        if code:
            with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
                async with asyncio.timeout(LEAST_SECONDS):
                    await self._socket.close(code)

    async def _receive(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                self._take(msgspec.json.decode(text, type=Asked))
            except Refused as refused:
                self._say_error(_id_in(text), str(refused))
            except msgspec.MsgspecError as error:
                self._say_error(_id_in(text), f"not a message that this socket takes: {error}")
            self._asked.set()
            if len(self._says) > MOST_WATCHES:
                raise TooSlow

    def _take(self, asked: Asked) -> None:
        if asked.end:
            if isinstance(self._watches.pop(asked.id, None), WatchedPipeline):
                self._pipelines -= 1
                self._pipeline.unwatch()
            return
        if asked.id in self._watches:
            raise Refused(400, f"{asked.id} is watched already: end it first, or take another id")
        if len(self._watches) >= MOST_WATCHES:
            raise Refused(429, f"a socket may watch {MOST_WATCHES} things: end some, or open another")
        match asked.watch:
            case "board":
                self._watches[asked.id] = WatchedBoard(self._recent)
            case "results":
                self._watches[asked.id] = WatchedResults(self._recent, asked)
            case "pipeline":
                self._watches[asked.id] = WatchedPipeline(self._pipeline)
                self._pipelines += 1
                self._pipeline.watch()
            case None:
                raise Refused(400, "say what to watch: board, results or pipeline")
        self._numbers[asked.id] = 0

    async def _send(self) -> None:
        clock = asyncio.get_running_loop().time
        pinged = clock()
        while not self._recent.ended:
            number = self._recent.number
            self._asked.clear()
            messages, self._says = self._says, []
            if clock() - pinged >= PING_SECONDS:
                pinged = clock()
                messages.append(encode({"ping": now_ms()}))
            messages += [message for of in list(self._watches) if (message := self._message(of)) is not None]
            for message in messages:
                async with asyncio.timeout(SEND_SECONDS):
                    await self._socket.send_text(message.decode())
            await asyncio.sleep(LEAST_SECONDS)
            await _first(WAIT_SECONDS, self._asked.wait(), self._recent.round_after(number))
        raise Ended

    def _message(self, of: int) -> bytes | None:
        watch, number = self._watches[of], self._numbers[of]
        what, news = (b"delta", watch.delta()) if number else (b"snapshot", watch.snapshot())
        if not news:
            return None
        self._numbers[of] = number + 1
        return b'{"id":%d,"seq":%d,"%s":%s}' % (of, number + 1, what, news)

    def _say_error(self, of: int | None, line: str) -> None:
        self._says.append(encode({"id": of, "error": line}))


def _some(name: str) -> list[str] | None:
    if len(name) > _MOST_CHARACTERS:
        raise Refused(400, f"a name has {_MOST_CHARACTERS} characters at most")
    return [name] if name else None


def _results(some: list[Held]) -> bytes:
    return b'{"results":[%s]}' % b",".join([held.json for held in some])


def _id_in(text: str) -> int | None:
    class Id(Struct):
        id: int

    try:
        return msgspec.json.decode(text, type=Id).id
    except msgspec.MsgspecError:
        return None


async def _first(seconds: float, *waits: Coroutine[Any, Any, object]) -> None:
    """Wait for the first of several things, or for a time."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

"""Streams of results, as server-sent events or through a WebSocket. A client that doesn't read is dropped."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from tickertape.stream.api.following import FellBehind, Following
from tickertape.stream.api.live import Ended
from tickertape.stream.errors import TickertapeError
from tickertape.stream.recent.history import Gone, TooMuch

# A client that takes nothing for so long is dropped; what it hasn't taken may be forgotten earlier.
SEND_SECONDS = 30.0
# A browser that lost the connection waits so long before it resumes.
_RETRY_MS = 1000
_GONE, _TOO_SLOW, _TRY_LATER, _GOING_AWAY = 1008, 1013, 1011, 1001


class EventStream(Response):
    """An answer that goes on until the client leaves, or doesn't read.

    Parameters
    ----------
    first, parts
        What is sent.
    """

    media_type = "text/event-stream"

    def __init__(self, first: bytes, parts: AsyncGenerator[bytes]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._first = first
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
        if not sending.cancelled() and (error := sending.exception()) is not None:
            if not isinstance(error, TimeoutError | FellBehind | TickertapeError | Gone | OSError):
                raise error
            with suppress(TimeoutError, OSError):
                # One that reads again is told in the normal way that the stream has ended, and may resume.
                async with asyncio.timeout(0):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        await self._body(send, b"retry: %d\n\n%s" % (_RETRY_MS, self._first))
        async with aclosing(self._parts) as parts:
            async for part in parts:
                await self._body(send, part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _body(self, send: Send, body: bytes) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": True}
        async with asyncio.timeout(SEND_SECONDS):
            await send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def serve_socket(socket: WebSocket, following: Following) -> None:
    """Send a topic's changes through a socket until the client leaves, or doesn't read."""
    await socket.accept()
    code, line = 0, ""
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_send_all(socket, following))
            while True:
                await socket.receive_text()
    except* (WebSocketDisconnect, OSError):
        pass
    except* (TimeoutError, FellBehind):
        code, line = _TOO_SLOW, "too slow: connect again, with the last id as `after`"
    except* Ended:
        code, line = _GOING_AWAY, "the server ends"
    except* Gone as gone:
        code, line = _GONE, str(gone.exceptions[0])
    except* (TooMuch, TickertapeError):
        code, line = _TRY_LATER, "the past can't be read at the moment: try again later"
    if code:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            async with asyncio.timeout(1):
                await socket.close(code, line)


async def _send_all(socket: WebSocket, following: Following) -> None:
    async with aclosing(following.parts()) as parts:
        async for part in parts:
            async with asyncio.timeout(SEND_SECONDS):
                await socket.send_text(part.decode())
    raise Ended

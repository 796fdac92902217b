"""What the demo adds to the page: buttons that disturb it, and notes of what it does.

The page is served by a process of its own. It prints a line for each button that is pressed, which the demo obeys.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tickertape.stream.console.told import ASKED, Note

ACTIONS = ("kill", "scale")
NOTES = 100
# A comment is sent this often, so a browser that is gone is noticed.
QUIET_SECONDS = 15.0


class Desk:
    """The demo's part of the page's server.

    Parameters
    ----------
    say
        Prints a line that the demo reads.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._notes: deque[Note] = deque(maxlen=NOTES)
        self._number = 0
        self._more = asyncio.Event()

    def routes(self, prefix: str) -> list[Route]:
        """Return the routes below a prefix, such as ``/api/v1/demo``."""
        return [
            *(Route(f"{prefix}/{action}", self._press, methods=["POST"], name=action) for action in ACTIONS),
            Route(f"{prefix}/notes", self._stream),
        ]

    def note(self, note: Note) -> None:
        """Show a note on all pages."""
        self._notes.append(note)
        self._number += 1
        self._more.set()
        self._more = asyncio.Event()

    async def _press(self, request: Request) -> Response:
        # Another site's page can send a form, but not this type without being asked first, which is refused.
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return JSONResponse({"error": "send JSON"}, 415)
        self._say(f"{ASKED}{request.url.path.rpartition('/')[2]}")
        return JSONResponse({}, 202)

    async def _stream(self, _: Request) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _events(self) -> AsyncIterator[bytes]:
        sent = max(0, self._number - len(self._notes))
        while True:
            news = self._number - sent
            if news:
                # A browser that is slower than the demo's notes misses the oldest.
                for note in list(self._notes)[-news:]:
                    yield b"data: " + msgspec.json.encode(note) + b"\n\n"
                sent += news
                continue
            yield b": nothing new\n\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), QUIET_SECONDS)

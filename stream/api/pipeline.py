"""The state of the pipeline as JSON, once a second while anybody watches."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from msgspec import structs

from tickertape.schemas.topics import Topic
from tickertape.stream.api.answers import encode
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import TickertapeError
from tickertape.stream.recent.recent import Recent
from tickertape.stream.watch.state import Numbers, Watch

EVERY_SECONDS = 1.0


class Pipeline:
    """Asks Kafka for the state of the pipeline, once a second while anybody watches.

    Parameters
    ----------
    settings
        The connection settings, and ``group``.
    read
        The topics that the pipeline reads: its inputs, and the slices.
    recent
        The results, whose memory is a part of the state.
    worker_numbers
        Returns numbers of each worker by its slot's name, as from its metrics; none where they can't be had.
    """

    def __init__(
        self,
        settings: Settings,
        read: list[Topic],
        recent: Recent,
        worker_numbers: Callable[[], Numbers] = dict,
    ) -> None:
        self._settings = settings
        self._recent = recent
        self._source = Watch(settings, read, worker_numbers)
        self._watchers = 0
        self._watched = asyncio.Event()
        self._asking = asyncio.Lock()
        self._asked = float("-inf")
        #: The last state as JSON; empty before the first.
        self.json = b""

    def watch(self) -> None:
        self._watchers += 1
        self._watched.set()

    def unwatch(self) -> None:
        self._watchers -= 1
        if not self._watchers:
            self._watched.clear()

    async def run(self) -> None:
        """Ask for ever, while anybody watches."""
        while True:
            await self._watched.wait()
            await self.now()
            await asyncio.sleep(EVERY_SECONDS)

    async def now(self) -> bytes:
        """Return the state as JSON, at most a second old."""
        async with self._asking:
            if time.monotonic() - self._asked >= EVERY_SECONDS:
                try:
                    state = structs.asdict(await asyncio.to_thread(self._source.now))
                except TickertapeError as error:
                    state = {"error": str(error)}
                self._asked = time.monotonic()
                self.json = encode(state | {"now_ms": int(time.time() * 1000), "recent": self._memory()})
        return self.json

    def _memory(self) -> dict[str, Any]:
        return {
            "caught_up": self._recent.caught_up.is_set(),
            "bytes": self._recent.shelves.size_bytes,
            "most_bytes": self._settings.recent_mib << 20,
            "left_out": self._recent.left_out,
            "unreadable": self._recent.unreadable,
        }

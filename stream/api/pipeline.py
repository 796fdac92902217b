"""The state of the pipeline: which worker owns what, how far each partition is read, and how fast."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from tickertape.schemas.topics import Topic
from tickertape.stream.api.answers import encode
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import TickertapeError
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.recent.recent import Recent

EVERY_SECONDS = 1.0


class _Ends(Struct, frozen=True):
    at: float
    ends: dict[tuple[str, int], int]


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
        worker_numbers: Callable[[], Mapping[str, Mapping[str, float]]] = dict,
    ) -> None:
        self._settings = settings
        self._topics = read
        self._recent = recent
        self._worker_numbers = worker_numbers
        self._watchers = 0
        self._before: _Ends | None = None
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
                    state = await asyncio.to_thread(self._state)
                except TickertapeError as error:
                    state = {"error": str(error)}
                self._asked = time.monotonic()
                self.json = encode(state | {"now_ms": int(time.time() * 1000), "recent": self._memory()})
        return self.json

    def _state(self) -> dict[str, Any]:
        group = members.describe(self._settings)
        described = topics.describe(self._settings, self._topics)
        ends = _Ends(
            time.monotonic(), {(one.name, part.partition): part.end for one in described for part in one.partitions}
        )
        before, self._before = self._before, ends
        owners = {
            (topic, number): slot
            for slot, owned in group.owned.items()
            for topic, numbers in owned.items()
            for number in numbers
        }
        numbers = self._worker_numbers()
        return {
            "group": self._settings.group,
            "stable": group.stable,
            "workers": [
                {"name": slot, "partitions": owned, "numbers": dict(numbers.get(slot, {}))}
                for slot, owned in sorted(group.owned.items())
            ],
            "topics": [
                {
                    "name": one.name,
                    "is_input": topic.is_input,
                    "lag": one.lag,
                    "partitions": [
                        {
                            "partition": part.partition,
                            "owner": owners.get((one.name, part.partition)),
                            "end": part.end,
                            "upto": part.upto,
                            "lag": part.lag,
                            "watermark_ms": part.watermark_ms,
                            "records_per_second": _rate(before, ends, (one.name, part.partition)),
                            "tallies": part.tallies,
                        }
                        for part in one.partitions
                    ],
                }
                for topic, one in zip(self._topics, described, strict=True)
            ],
        }

    def _memory(self) -> dict[str, Any]:
        return {
            "caught_up": self._recent.caught_up.is_set(),
            "bytes": self._recent.shelves.size_bytes,
            "most_bytes": self._settings.recent_mib << 20,
            "left_out": self._recent.left_out,
            "unreadable": self._recent.unreadable,
        }


def _rate(before: _Ends | None, now: _Ends, part: tuple[str, int]) -> float | None:
    if before is None or part not in before.ends:
        return None
    return round((now.ends[part] - before.ends[part]) / max(now.at - before.at, 1e-3), 1)

"""The topic ``control`` as several feeds of one process read it: one reader, and all are told."""

import asyncio
from typing import Protocol

from tickertape.schemas.control import Step
from tickertape.stream.feeds.publish.publisher import Schedules
from tickertape.stream.feeds.publish.resume import Stored


class Topic(Schedules, Stored, Protocol):
    """What reads the topic, such as `tickertape.stream.kafka.stores.control.Control`."""


class Followed:
    """The schedules of topics, read all the time by `run`. It is a `Schedules`.

    Parameters
    ----------
    stored
        What reads the topic.

    Attributes
    ----------
    stored
        As given, for the positions of feeds.
    """

    def __init__(self, stored: Topic) -> None:
        self.stored = stored
        self._news = asyncio.Event()
        self._keys: set[bytes] = set()

    async def run(self) -> None:
        """Read the topic until cancelled."""
        while True:
            self._keys = await self.stored.change()
            self._news.set()
            self._news = asyncio.Event()

    async def sync(self) -> None:
        """Do nothing: what is there is read as it comes."""

    async def change(self) -> set[bytes]:
        """Wait for the next records, and return their keys."""
        await self._news.wait()
        return self._keys

    def steps(self, topic: str) -> tuple[Step, ...]:
        """Return the schedule of a topic; empty if there is none."""
        return self.stored.steps(topic)

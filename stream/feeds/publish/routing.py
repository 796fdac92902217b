"""Which partition an event goes to: by its key, and by how many partitions were in use at its event time.

So an event that is sent again falls where it fell before, whenever that is, and counts once.
"""

import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tickertape.schemas.control import Step
from tickertape.schemas.topics import MINUTE_MS
from tickertape.stream.kafka.partition import partition_for, partition_within


class Place(NamedTuple):
    """Where a key's events go.

    Attributes
    ----------
    partition
        The partition, the first one where there are several.
    key
        The record's key.
    over
        Over how many partitions, that one and the next, they are spread; 1: none but that.
    """

    partition: int
    key: bytes
    over: int


class Era(dict[str, Place]):
    """A stretch of event time in which the number of partitions stays: by key, where its events go.

    Attributes
    ----------
    since_ms, until_ms
        From when to when; the end is not of it.
    partitions
        How many.
    """

    __slots__ = ("_spread", "partitions", "since_ms", "until_ms")

    def __init__(self, since_ms: int, until_ms: int, partitions: int, spread: Mapping[str, int]) -> None:
        super().__init__()
        self.since_ms = since_ms
        self.until_ms = until_ms
        self.partitions = partitions
        self._spread = spread

    def __missing__(self, key: str) -> Place:
        first = partition_for(key, self.partitions)
        over = min(self._spread.get(key, 1), self.partitions)
        place = self[key] = Place(first, key.encode(), over)
        return place

    def one_of(self, place: Place, number: int) -> int:
        """Return which of a spread key's partitions the event of an id goes to."""
        return (place.partition + partition_within(number, place.over)) % self.partitions


class Routing:
    """A schedule, as a feed goes by it.

    Parameters
    ----------
    steps
        The schedule; at least one.
    spread
        By key: over how many partitions its events are spread.
    """

    def __init__(self, steps: Sequence[Step], spread: Mapping[str, int]) -> None:
        self.steps = tuple(steps)
        self._spread = spread
        # What is before the first step goes by it too.
        borders = [-sys.maxsize, *(step.from_ms for step in self.steps[1:]), sys.maxsize]
        self._eras = [
            Era(since_ms, until_ms, step.partitions, spread)
            for since_ms, until_ms, step in zip(borders, borders[1:], self.steps, strict=False)
        ]
        self._borders = borders[1:-1]

    @property
    def most(self) -> int:
        """How many partitions it ever uses."""
        return self.steps[-1].partitions

    def at(self, time_ms: int) -> Era:
        return self._eras[bisect_right(self._borders, time_ms)]

    def next(self, steps: Sequence[Step], newest_ms: int) -> "Routing":
        """Return what to go by now that the schedule is another.

        A step that came too late, for events past it are sent, is taken from the next minute on: until then it stays as
        it was, so that what is sent again falls where it fell.

        Parameters
        ----------
        steps
            The new schedule.
        newest_ms
            The newest event time that was sent, ms.
        """
        new = Routing(steps, self._spread)
        if new.at(newest_ms).partitions == self.at(newest_ms).partitions:
            return new
        border_ms = (newest_ms // MINUTE_MS + 1) * MINUTE_MS
        before = [step for step in self.steps if step.from_ms < border_ms]
        after = [step for step in new.steps if step.from_ms > border_ms]
        return Routing([*before, Step(border_ms, new.at(border_ms).partitions), *after], self._spread)

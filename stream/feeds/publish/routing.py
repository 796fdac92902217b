"""The partition of an event: by its key, and by the number of partitions in use at its event time.

So an event that is sent again, at any later time, goes to the same partition and counts once.
"""

import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tickertape.schemas.control import Step
from tickertape.schemas.fields import LATEST_MS
from tickertape.schemas.heartbeat import MOST_LETTERS, MOST_SPREAD, MOST_STEPS, Keyed
from tickertape.schemas.topics import MINUTE_MS
from tickertape.stream.kafka.partition import partition_for, partition_within


class Place(NamedTuple):
    """The partitions of a key's events.

    Attributes
    ----------
    partition
        The partition, or the first of several.
    key
        The record's key.
    over
        The number of partitions, from the first one on, over which the events are spread.
    """

    partition: int
    key: bytes
    over: int


class Era(dict[str, Place]):
    """A range of event time with a fixed number of partitions. It maps each key to its `Place`.

    Attributes
    ----------
    since_ms, until_ms
        The range, ms; the end is exclusive.
    partitions
        The number of partitions.
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
        """Return the partition of a spread key's event with this id."""
        return (place.partition + partition_within(number, place.over)) % self.partitions


class Routing:
    """A schedule, as a feed follows it.

    Parameters
    ----------
    steps
        The schedule; at least one step.
    spread
        By key: the number of partitions over which its events are spread.
    """

    def __init__(self, steps: Sequence[Step], spread: Mapping[str, int]) -> None:
        self.steps = tuple(steps)
        self._spread = spread
        # The first step applies to earlier event times too.
        borders = [-sys.maxsize, *(step.from_ms for step in self.steps[1:]), sys.maxsize]
        self._eras = [
            Era(since_ms, until_ms, step.partitions, spread)
            for since_ms, until_ms, step in zip(borders, borders[1:], self.steps, strict=False)
        ]
        self._borders = borders[1:-1]

    @property
    def promise(self) -> tuple[tuple[Keyed, ...], tuple[str, ...]]:
        """What a heartbeat says of the partitions of keys: ``keyed`` and ``spread``, see `Heartbeat`."""
        spread = tuple(sorted(key for key, over in self._spread.items() if over > 1))
        if len(spread) > MOST_SPREAD or any(len(key) > MOST_LETTERS for key in spread):
            return (), ()
        steps = [Keyed(min(max(step.from_ms, 0), LATEST_MS), step.partitions) for step in self.steps]
        # The first step applies to earlier event times too.
        steps[0] = Keyed(0, steps[0].partitions)
        return tuple(steps[-MOST_STEPS:]), spread

    @property
    def most(self) -> int:
        """The number of partitions after the last step."""
        return self.steps[-1].partitions

    def at(self, time_ms: int) -> Era:
        """Return the era of an event time."""
        return self._eras[bisect_right(self._borders, time_ms)]

    def next(self, steps: Sequence[Step], newest_ms: int) -> "Routing":
        """Return the routing for a new schedule.

        If a step comes too late, because events past it were sent, it applies from the next minute on. Until then the
        old steps apply, so that events that are sent again go to the same partitions.

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

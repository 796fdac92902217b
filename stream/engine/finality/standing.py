"""The lanes of one source in all partitions, by their states, with the least frontier of each state at hand."""

from enum import IntEnum
from heapq import heapify, heappop, heappush

# A heap may have so many outdated entries more than valid ones before it is made anew.
_SLACK = 64


class Least:
    """The least of numbers by key, as they change. A change costs O(log n), and mostly less."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {}
        # Outdated entries stay until they are at the top.
        self._heap: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._values)

    def set(self, key: int, value: int) -> bool:
        """Set a number; return whether that is news."""
        if self._values.get(key) == value:
            return False
        self._values[key] = value
        heappush(self._heap, (value, key))
        if len(self._heap) > 2 * len(self._values) + _SLACK:
            self._heap = [(known, of) for of, known in self._values.items()]
            heapify(self._heap)
        return True

    def remove(self, key: int) -> None:
        del self._values[key]

    def least(self, otherwise: int) -> int:
        """Return the least number, or another one if there is none."""
        heap, values = self._heap, self._values
        while heap:
            value, key = heap[0]
            if values.get(key) == value:
                return value
            heappop(heap)
        return otherwise

    def greatest(self, otherwise: int) -> int:
        """Return the greatest number, or another one if there is none; this looks at all of them."""
        return max(self._values.values(), default=otherwise)


class State(IntEnum):
    """The state of a source's lane in a partition."""

    AWAKE = 0
    IDLE = 1
    EVICTED = 2
    ENDED = 3
    #: There is no lane, and the owner is active: the source's first record may come at any time.
    UNKNOWN = 4
    #: There is no lane, and the owner is idle.
    AWAY = 5


class Standing:
    """The lanes of one source.

    Attributes
    ----------
    lanes
        By state: the frontiers of the lanes in that state, ms, by partition.
    """

    def __init__(self) -> None:
        self.lanes = tuple(Least() for _ in State)
        self._state: dict[int, State] = {}

    def set(self, partition: int, state: State, frontier_ms: int) -> bool:
        """Set the state of the source's lane in a partition; return whether that is news."""
        before = self._state.get(partition)
        if before is state:
            return self.lanes[state].set(partition, frontier_ms)
        if before is not None:
            self.lanes[before].remove(partition)
        self._state[partition] = state
        return self.lanes[state].set(partition, frontier_ms)

"""What the last reads of a topic brought, in order: whoever follows the topic goes from one round to the next."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct, field

from tickertape.stream.recent.held import Held, Series

#: The offset of the next record by partition: all records before it have been handled.
Position: TypeAlias = dict[int, int]
# A client that is this far behind has stopped reading.
MOST_SECONDS = 30.0
MOST_BYTES = 16 << 20
# Of so many rounds what is encoded is kept.
_ENCODED = 3


class Round(Struct, frozen=True):
    """What one read of a topic brought.

    Attributes
    ----------
    number
        Rises from round to round, over all topics.
    at
        When it was read, on the event loop's clock, s.
    before, after
        The position before and after it.
    changes
        The results that have changed, by series, each once.
    size_bytes
        What they take in memory, about.
    encoded
        What has been encoded of it for its followers, by what they follow: those who follow the same share it.
    """

    number: int
    at: float
    before: Position
    after: Position
    changes: dict[Series, list[Held]]
    size_bytes: int
    encoded: dict[Hashable, bytes] = field(default_factory=dict)

    def in_order(self) -> list[Held]:
        """Return all changes in the order of partitions and offsets."""
        return sorted((held for of in self.changes.values() for held in of), key=place)


def place(held: Held) -> tuple[int, int]:
    """Return what sorts records: by partition, then by offset."""
    return held.partition, held.offset


class Rounds:
    """The last rounds of one topic; older ones than some seconds are forgotten, or earlier if they are large.

    Parameters
    ----------
    position
        Where reading began.
    """

    def __init__(self, position: Mapping[int, int]) -> None:
        self.position: Position = dict(position)
        self.number = 0
        self._rounds: deque[Round] = deque()
        self._size_bytes = 0
        # The number of the last round that was forgotten.
        self._forgotten = -1

    def add(self, number: int, at: float, after: Position, changes: Iterable[Held]) -> Round:
        """Add what a read brought, and forget what is too old."""
        by_series: dict[Series, list[Held]] = {}
        size_bytes = 0
        for held in changes:
            by_series.setdefault(held.series, []).append(held)
            size_bytes += held.size_bytes
        added = Round(number, at, self.position, after, by_series, size_bytes)
        self.position, self.number = after, number
        self._rounds.append(added)
        if len(self._rounds) > _ENCODED:
            # Whoever is further behind has it encoded again: what many different followers ask for would fill memory.
            self._rounds[-1 - _ENCODED].encoded.clear()
        self._size_bytes += size_bytes
        while self._rounds[0].at < at - MOST_SECONDS or self._size_bytes > MOST_BYTES:
            if len(self._rounds) == 1:
                break
            forgotten = self._rounds.popleft()
            self._forgotten = forgotten.number
            self._size_bytes -= forgotten.size_bytes
        return added

    @property
    def begins(self) -> Position:
        """The position before the oldest round that is known."""
        return self._rounds[0].before if self._rounds else self.position

    def after(self, number: int) -> Iterator[Round]:
        """Yield the rounds after one, oldest first."""
        later = []
        for one in reversed(self._rounds):
            if one.number <= number:
                break
            later.append(one)
        return reversed(later)

    def knows(self, number: int) -> bool:
        """Return whether all rounds after that one are still known."""
        return number >= self._forgotten

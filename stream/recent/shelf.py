"""Results of one kind and resolution, window by window, and all shelves together within a budget of bytes."""

from collections.abc import Iterator
from typing import NamedTuple

from tickertape.stream.recent.held import Held, Series
from tickertape.stream.recent.selection import Selection

# Less is dropped at once than this share of the budget, so that it isn't done for each result.
_SLACK = 0.05


class Shelf:
    """Results of one topic, kind and resolution. The oldest windows go first; the newest of a series always stays.

    Parameters
    ----------
    complete_from_ms
        Results whose windows begin earlier may be missing from the start.

    Attributes
    ----------
    complete_from_ms
        Results whose windows begin at this event time or later are all here, as far as they have been read.
    size_bytes
        What the results take in memory, about.
    newest
        The result with the latest window of each series.
    """

    def __init__(self, complete_from_ms: int) -> None:
        self.complete_from_ms = complete_from_ms
        self.size_bytes = 0
        self.newest: dict[Series, Held] = {}
        self._windows: dict[int, dict[Series, Held]] = {}

    def __len__(self) -> int:
        """The number of results."""
        return sum(map(len, self._windows.values()))

    def put(self, held: Held) -> None:
        """Add a result, or replace its earlier record."""
        series, start_ms = held.series, held.start_ms
        latest = self.newest.get(series)
        if latest is None or start_ms >= latest.start_ms:
            self.newest[series] = held
        window = self._windows.get(start_ms)
        if window is None:
            window = self._windows[start_ms] = {}
        before = window.get(series)
        window[series] = held
        self.size_bytes += held.size_bytes - (0 if before is None else before.size_bytes)

    def drop_oldest(self) -> int:
        """Drop the results of the oldest window, and return how many bytes that frees. The newest window stays."""
        if len(self._windows) < 2:
            return 0
        start_ms = min(self._windows)
        dropped = self._windows.pop(start_ms)
        size_bytes = sum(held.size_bytes for held in dropped.values())
        self.size_bytes -= size_bytes
        self.complete_from_ms = max(self.complete_from_ms, min(self._windows))
        return size_bytes

    def between(self, from_ms: int, to_ms: int, selection: Selection, *, newest_first: bool = False) -> Iterator[Held]:
        """Yield the selected results whose windows begin from one time up to another, by window and then by series.

        Parameters
        ----------
        from_ms, to_ms
            Event times, ms.
        selection
            Which results.
        newest_first
            True for the opposite order.
        """
        series = sorted(filter(selection.has, self.newest), reverse=newest_first)
        starts = sorted((start_ms for start_ms in self._windows if from_ms <= start_ms < to_ms), reverse=newest_first)
        for start_ms in starts:
            window = self._windows[start_ms]
            for one in series:
                held = window.get(one)
                if held is not None and (held.final or not selection.finals):
                    yield held


class Place(NamedTuple):
    """Which shelf it is."""

    topic: str
    kind: str
    resolution: str


class Shelves:
    """All shelves. If their sum is above the budget, the largest one drops its oldest windows.

    Parameters
    ----------
    budget_bytes
        What all results together may take in memory.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._shelves: dict[Place, Shelf] = {}

    def __iter__(self) -> Iterator[tuple[Place, Shelf]]:
        return iter(self._shelves.items())

    @property
    def size_bytes(self) -> int:
        return sum(shelf.size_bytes for shelf in self._shelves.values())

    def shelf(self, topic: str, kind: str, resolution: str) -> Shelf | None:
        return self._shelves.get(Place(topic, kind, resolution))

    def put(self, topic: str, held: Held, complete_from_ms: int) -> None:
        """Add a result. A shelf that is made for it is complete from that event time on."""
        place = Place(topic, held.series.kind, held.series.resolution)
        shelf = self._shelves.get(place)
        if shelf is None:
            shelf = self._shelves[place] = Shelf(complete_from_ms)
        shelf.put(held)

    def fit(self) -> None:
        """Drop the oldest windows of the largest shelves until all fit in the budget."""
        over_bytes = self.size_bytes - self._budget_bytes
        if over_bytes <= 0:
            return
        over_bytes += int(_SLACK * self._budget_bytes)
        while over_bytes > 0:
            freed_bytes = 0
            for shelf in sorted(self._shelves.values(), key=_size_bytes, reverse=True):
                if freed_bytes := shelf.drop_oldest():
                    break
            if not freed_bytes:
                return
            over_bytes -= freed_bytes


def _size_bytes(shelf: Shelf) -> int:
    return shelf.size_bytes

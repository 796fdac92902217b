"""Time within one partition: a lane for each source, its watermark and its frontier."""

from collections.abc import Mapping

import numpy as np

from tickertape.schemas.frame import NEVER_MS, Lane
from tickertape.stream.engine.core.block import Ints

#: The watermark and the frontier of a lane that has said nothing.
UNSET = NEVER_MS


class Lanes:
    """The watermarks and frontiers of one partition, moved record by record.

    Parameters
    ----------
    lateness_ms
        How far behind its watermark a lane's frontier follows.
    lanes
        As a checkpoint left them. A frontier never moves back, whatever the lateness is now.
    evicted_ms, since
        See below.

    Attributes
    ----------
    watermark_ms, frontier_ms
        By source.
    ended
        The sources that have said that nothing follows, and nothing since.
    evicted_ms
        The greatest frontier of the lanes that were evicted. A new lane begins there, for it may be one of these: what
        it sends again is late.
    since
        By source: the offset from which on it has a lane, where records before it may have been rejected.
    """

    def __init__(
        self, lateness_ms: int, lanes: list[Lane], evicted_ms: int = UNSET, since: Mapping[str, int] | None = None
    ) -> None:
        self._lateness_ms = lateness_ms
        self.evicted_ms = evicted_ms
        self.since = dict(since or {})
        self.watermark_ms = {lane.source: lane.watermark_ms for lane in lanes}
        self.frontier_ms = {lane.source: lane.frontier_ms for lane in lanes}
        self.ended = {lane.source for lane in lanes if lane.ended}

    def advance(self, source: str, times_ms: Ints) -> Ints:
        """Read times of one lane, in partition order.

        Parameters
        ----------
        source
            The lane.
        times_ms
            Event times and heartbeats, shape (n,), n > 0.

        Returns
        -------
        Ints
            The frontier that each of them met, ms, shape (n,).
        """
        watermark = self.watermark_ms.get(source, UNSET)
        frontier = self.frontier_ms.get(source, UNSET)
        running = np.maximum(np.maximum.accumulate(times_ms), watermark)
        met = np.empty_like(running)
        met[0] = frontier
        np.maximum(running[:-1] - self._lateness_ms, frontier, out=met[1:])
        self.ended.discard(source)
        self.watermark_ms[source] = int(running[-1])
        self.frontier_ms[source] = max(frontier, int(running[-1]) - self._lateness_ms)
        return met

    def end(self, source: str, frontier_ms: int) -> None:
        """Hear that nothing of a source follows, and close what ends at or before a time."""
        self.raise_frontier(source, frontier_ms)
        self.ended.add(source)

    def admit(self, source: str, offset: int) -> None:
        """Have a lane for a source, from an offset on."""
        self.watermark_ms[source] = UNSET
        self.frontier_ms[source] = self.evicted_ms
        self.since[source] = offset

    @property
    def least_ms(self) -> int:
        """The least watermark, ms."""
        return min(self.watermark_ms.values(), default=UNSET)

    def most_silent(self) -> tuple[int, str]:
        """Return the least watermark, ms, and whose it is."""
        return min((watermark_ms, source) for source, watermark_ms in self.watermark_ms.items())

    def evict(self, source: str, end_ms: int) -> None:
        """Close what a lane has open, up to a time, and have no lane for its source any more."""
        self.raise_frontier(source, end_ms)
        self.evicted_ms = max(self.evicted_ms, self.frontier_ms.pop(source))
        del self.watermark_ms[source]
        self.since.pop(source, None)
        self.ended.discard(source)

    def closed_ms(self, source: str) -> int:
        """Return the frontier of a source, with a lane or without."""
        return self.frontier_ms.get(source, self.evicted_ms)

    def lanes(self, idle: frozenset[str] = frozenset()) -> list[Lane]:
        """Return all lanes as they are, those of some sources as idle."""
        return [
            Lane(source, watermark_ms, self.frontier_ms[source], source in idle, source in self.ended)
            for source, watermark_ms in self.watermark_ms.items()
        ]

    def raise_frontier(self, source: str, frontier_ms: int) -> None:
        self.frontier_ms[source] = max(self.frontier_ms[source], frontier_ms)

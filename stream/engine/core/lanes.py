"""Event time within one partition: a lane for each source, with a watermark and a frontier."""

from collections.abc import Mapping

import numpy as np

from tickertape.schemas.frame import NEVER_MS, Lane
from tickertape.stream.engine.core.columns import Ints


class Lanes:
    """The watermarks and frontiers of one partition, moved record by record.

    Parameters
    ----------
    lateness_ms
        How far a lane's frontier is behind its watermark, ms.
    lanes
        The lanes of the checkpoint. Their frontiers never move back, even if the lateness has grown since.
    evicted_ms, admitted_at
        See the attributes.

    Attributes
    ----------
    watermark_ms, frontier_ms
        By source, ms.
    ended
        The sources whose newest message is an end marker.
    evicted_ms
        The greatest frontier of the evicted lanes, ms. A new lane begins there, because its source may have had one of
        them: records that it sends again are then late.
    admitted_at
        By source: the offset and the index in the bundle, or 0, at which its lane was admitted. Events before it may
        have been rejected.
    """

    def __init__(
        self,
        lateness_ms: int,
        lanes: list[Lane],
        evicted_ms: int = NEVER_MS,
        admitted_at: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._lateness_ms = lateness_ms
        self.evicted_ms = evicted_ms
        self.admitted_at = dict(admitted_at or {})
        self.watermark_ms = {lane.source: lane.watermark_ms for lane in lanes}
        self.frontier_ms = {lane.source: lane.frontier_ms for lane in lanes}
        self.ended = {lane.source for lane in lanes if lane.ended}

    def advance(self, source: str, times_ms: Ints) -> Ints:
        """Move one lane by a run of times, in partition order.

        Parameters
        ----------
        source
            The lane's source.
        times_ms
            Event times and heartbeats, shape (n,), n > 0.

        Returns
        -------
        Ints
            The lane's frontier just before each time, ms, shape (n,).
        """
        watermark = self.watermark_ms.get(source, NEVER_MS)
        frontier = self.frontier_ms.get(source, NEVER_MS)
        running = np.maximum(np.maximum.accumulate(times_ms), watermark)
        frontier_before = np.empty_like(running)
        frontier_before[0] = frontier
        np.maximum(running[:-1] - self._lateness_ms, frontier, out=frontier_before[1:])
        self.ended.discard(source)
        self.watermark_ms[source] = int(running[-1])
        self.frontier_ms[source] = max(frontier, int(running[-1]) - self._lateness_ms)
        return frontier_before

    def end(self, source: str, frontier_ms: int) -> None:
        """Mark a source as ended, and close its slices that end at or before a time."""
        self.raise_frontier(source, frontier_ms)
        self.ended.add(source)

    def admit(self, source: str, offset: int, index: int = 0) -> None:
        """Open a lane for a source, from an offset on, and there from an index in the bundle on."""
        self.watermark_ms[source] = NEVER_MS
        self.frontier_ms[source] = self.evicted_ms
        self.admitted_at[source] = offset, index

    @property
    def least_watermark_ms(self) -> int:
        """The least watermark of all lanes, ms."""
        return min(self.watermark_ms.values(), default=NEVER_MS)

    def furthest_behind(self) -> tuple[int, str]:
        """Return the least watermark, ms, and its source."""
        return min((watermark_ms, source) for source, watermark_ms in self.watermark_ms.items())

    def evict(self, source: str, end_ms: int) -> None:
        """Close a lane's slices up to a time, and remove the lane."""
        self.raise_frontier(source, end_ms)
        self.evicted_ms = max(self.evicted_ms, self.frontier_ms.pop(source))
        del self.watermark_ms[source]
        self.admitted_at.pop(source, None)
        self.ended.discard(source)

    def closed_ms(self, source: str) -> int:
        """Return the frontier of a source, ms. Without a lane it is `evicted_ms`."""
        return self.frontier_ms.get(source, self.evicted_ms)

    def to_list(self, idle: frozenset[str] = frozenset()) -> list[Lane]:
        """Return all lanes, and mark those of the given sources as idle."""
        return [
            Lane(source, watermark_ms, self.frontier_ms[source], source in idle, source in self.ended)
            for source, watermark_ms in self.watermark_ms.items()
        ]

    def raise_frontier(self, source: str, frontier_ms: int) -> None:
        self.frontier_ms[source] = max(self.frontier_ms[source], frontier_ms)

"""Which input topics have a backlog, on this worker or, as frames report, on others."""

from collections.abc import Iterable
from time import monotonic

from faust.types import TP

from tickertape.schemas.frame import Frame
from tickertape.stream.engine.core.workload import Workload

# Without a further frame of the partition, a reported backlog counts for this long: the owner may have died.
REPORTED_SECONDS = 5.0


class Backlogs:
    """The backlogs of the partitions of all workers.

    Parameters
    ----------
    workload
        The backlogs of this worker's own partitions.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        # By shard, and partition with a backlog: when a frame of the shard last reported it. Shards are read one after
        # the other, and each knows only what its own frames have brought.
        self._reported_at: dict[tuple[int, TP], float] = {}

    def clear(self) -> None:
        """Forget what frames have reported."""
        self._reported_at = {}

    def note_frames(self, shard: int, frames: Iterable[Frame]) -> None:
        """Record whether the owners of frames' partitions had a backlog of them, up to these frames of a shard."""
        for frame in frames:
            if frame.behind:
                self._reported_at[shard, TP(frame.topic, frame.partition)] = monotonic()
            elif self._reported_at:
                self._reported_at.pop((shard, TP(frame.topic, frame.partition)), None)

    def has(self, topic: str) -> bool:
        """Return whether any worker has a backlog of a topic."""
        since = monotonic() - REPORTED_SECONDS
        reported = any(tp.topic == topic and at > since for (_, tp), at in self._reported_at.items())
        return reported or self._workload.has_backlog(topic)

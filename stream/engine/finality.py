"""When windows of one shard are final, and when their slices may be folded for good."""

from schemas.frame import Frame
from stream.engine.lanes import UNSET

#: The name under which all sources are taken together.
ALL = "all"


class Finality:
    """The lanes of all input partitions of one topic, as one shard knows them.

    Parameters
    ----------
    horizon_ms
        How far the fold frontier may stay behind the final one for the sake of idle lanes.
    floors
        By source, and `ALL`: where the fold frontier was when the last owner's checkpoint was made.

    Attributes
    ----------
    final_ms
        By source, and `ALL`: windows that end at or before it are final.
    fold_ms
        Likewise: slices that end at or before it are folded for good, and nothing more is taken of them.
    """

    def __init__(self, horizon_ms: int, floors: dict[str, int]) -> None:
        self._horizon_ms = horizon_ms
        self.floors = floors
        self.final_ms: dict[str, int] = {}
        self.fold_ms: dict[str, int] = {}
        self._partitions = 0
        self._spoken: set[int] = set()
        self._stamp: dict[int, int] = {}
        self._silent: set[int] = set()
        self._lane_ms: dict[tuple[int, str], int] = {}
        self._idle: dict[int, set[str]] = {}

    def frontier_ms(self, partition: int, source: str) -> int:
        """Return how far a lane is known to be."""
        return self._lane_ms.get((partition, source), UNSET)

    def hear(self, frame: Frame) -> None:
        """Take in a frame's lanes; a frontier never moves back, and a zombie's word on idleness doesn't count."""
        partition = frame.partition
        self._partitions = max(self._partitions, frame.partitions)
        if frame.lanes or frame.idle:
            self._spoken.add(partition)
        for lane in frame.lanes:
            key = partition, lane.source
            self._lane_ms[key] = max(self._lane_ms.get(key, UNSET), lane.frontier_ms)
        if frame.upto < self._stamp.get(partition, -1):
            return
        self._stamp[partition] = frame.upto
        self._idle[partition] = {lane.source for lane in frame.lanes if lane.idle}
        if frame.idle:
            self._silent.add(partition)
        else:
            self._silent.discard(partition)

    def advance(self, *, settled: bool) -> bool:
        """Recompute the frontiers; return whether any has moved.

        Parameters
        ----------
        settled
            False while the shard is read again from its checkpoint's offset: the floors aren't valid before its end.
        """
        before = self.final_ms, self.fold_ms
        self.final_ms, self.fold_ms = dict(self.final_ms), dict(self.fold_ms)
        if settled:
            for source, floor_ms in self.floors.items():
                self._raise(source, floor_ms, floor_ms)
        if len(self._spoken) >= self._partitions:
            for source in [ALL, *{source for _, source in self._lane_ms}]:
                self._advance(source)
        return before != (self.final_ms, self.fold_ms)

    def _advance(self, source: str) -> None:
        mine = [(key, at) for key, at in self._lane_ms.items() if source in (ALL, key[1])]
        awake = [at for (partition, name), at in mine if name not in self._idle[partition]]
        if not awake:
            return
        final_ms = min(awake)
        least_ms = UNSET if self._silent else min(at for _, at in mine)
        self._raise(source, final_ms, max(least_ms, final_ms - self._horizon_ms))

    def _raise(self, source: str, final_ms: int, fold_ms: int) -> None:
        self.final_ms[source] = max(self.final_ms.get(source, UNSET), final_ms)
        self.fold_ms[source] = max(self.fold_ms.get(source, UNSET), fold_ms)

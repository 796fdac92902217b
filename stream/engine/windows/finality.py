"""When windows of one shard are final, and when their slices may be folded for good."""

from collections.abc import Collection

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import Frame
from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.recovery.state import Frontiers


class Finality:
    """The lanes of all input partitions of one topic, as one shard knows them.

    Any source may be on any partition, so a partition that has said nothing of a source holds that source's results
    back, until its owner calls it idle. A lane that has ended holds back nothing. Where all have, every window is final
    that begins before the newest slice ends, and folded is what the lanes have closed: a source that speaks again goes
    on where it ended. One whose lane has made room for another holds back no finals either; as it may come back, it
    holds the folding like one that is idle.

    Parameters
    ----------
    horizon_ms
        How far the fold frontier may stay behind the final one for the sake of idle lanes.
    longest_ms
        The width of the longest windows.
    saved
        What the last owner's checkpoint knew.
    known
        What was known at an offset below it, from where the shard is read on; None where it is read anew.
    done
        False where what the last owner was done with is to be told again, though it is published.

    Attributes
    ----------
    final_ms
        By source, and `ALL`: windows that end at or before it are final.
    fold_ms
        Likewise: slices that end at or before it are folded for good, and nothing more is taken of them.
    """

    def __init__(
        self, horizon_ms: int, longest_ms: int, saved: Views, known: Frontiers | None = None, *, done: bool = True
    ) -> None:
        self._horizon_ms = horizon_ms
        self._longest_ms = longest_ms
        self._saved = saved
        self._done = saved.folded if done else {}
        self.final_ms: dict[str, int] = {}
        self.fold_ms: dict[str, int] = {}
        self._partitions = saved.partitions
        self._added = list(saved.added)
        self._most_partitions = MOST_PARTITIONS
        #: How many frames say that there are, where that is more than there may be: until that is known it holds.
        self.doubtful_partitions = 0
        self._sources = saved.folded.keys() - {ALL}
        self._lane_ms: dict[tuple[int, str], int] = {}
        self._stamp: dict[int, int] = {}
        # By partition: the sources that are idle, and whether all are that it has no lane of.
        self._idle: dict[int, tuple[set[str], bool]] = {}
        self._ended: dict[int, set[str]] = {}
        self._here: dict[int, set[str]] = {}
        self._evicted_ms: dict[int, int] = {}
        # Where all is to be told again, those that were forgotten are too.
        self._forgotten_ms = saved.forgotten_ms if done else UNSET
        self._news = True
        if known is not None:
            self.final_ms, self.fold_ms = known.final_ms, known.fold_ms
            self._partitions = max(self._partitions, known.partitions)
            self._sources = self._sources | known.sources
            self._lane_ms, self._stamp = known.lane_ms, known.stamp
            self._idle, self._ended = known.idle, known.ended
            self._here, self._evicted_ms = known.here, known.evicted_ms
            self._forgotten_ms = max(self._forgotten_ms, known.forgotten_ms)

    def done_ms(self, source: str) -> int:
        """Return the time up to which the last owner had folded."""
        return self._done.get(source, UNSET)

    def done_with_ms(self, source: str) -> int:
        """Return the time up to which the last owner was done with windows.

        A source's stay until those of all are done: they share in some of their metrics.
        """
        return min(self.done_ms(ALL), self.done_ms(source))

    def published_ms(self, source: str) -> int:
        """Return the time up to which all results were published when the last owner committed."""
        folded = self._saved.folded
        return min(folded.get(ALL, UNSET), folded.get(source, self._saved.forgotten_ms))

    def closed_ms(self, source: str) -> int:
        """Return the time up to which nothing more is taken of slices."""
        return max(self.fold_ms.get(source, UNSET), self.done_with_ms(source))

    def settled_ms(self, source: str) -> int:
        """Return the time up to which windows can't change."""
        return self.fold_ms.get(source, self._forgotten_ms)

    def most_closed_ms(self) -> int:
        """Return the greatest of these times, of any source."""
        return max(self.closed_ms(source) for source in (ALL, *self._sources))

    def is_whole(self, partition: int, source: str, end_ms: int) -> bool:
        """Return whether the last owner surely had all of a lane's slice that ends at a time.

        It had what it had folded, unless the horizon had it do so, or it had not heard of the partition by then.
        """
        saved = self._saved
        if partition >= saved.partitions or source not in saved.folded:
            return False
        folded_ms = min(saved.folded[source], saved.folded.get(ALL, UNSET))
        final_ms = max(saved.final.get(source, UNSET), saved.final.get(ALL, UNSET))
        if end_ms > folded_ms or folded_ms <= final_ms - self._horizon_ms:
            return False
        without = next((folded for first, folded in reversed(saved.added) if first <= partition), {})
        return end_ms > max(without.get(source, UNSET), without.get(ALL, UNSET))

    def _learn(self, partitions: int) -> None:
        """Hear how many partitions there are; of more than was known what is folded has nothing."""
        if partitions <= self._partitions:
            return
        names = self.fold_ms.keys() | self._saved.folded.keys()
        folded = {name: self.closed_ms(name) for name in names}
        if any(at_ms != UNSET for at_ms in folded.values()):
            self._added.append((self._partitions, folded))
        self._partitions = partitions

    def behind(self) -> dict[tuple[int, str], int]:
        """Return the frontiers of lanes that the folding has passed."""
        of_all = self.fold_ms.get(ALL, UNSET)
        return {
            lane: at_ms
            for lane in self._lane_ms
            if (at_ms := self.frontier_ms(*lane)) < max(of_all, self.fold_ms.get(lane[1], UNSET))
        }

    def frontier_ms(self, partition: int, source: str) -> int:
        """Return how far a lane is known to be. A source that has lost its lane is where its next lane begins."""
        at_ms = self._lane_ms.get((partition, source), UNSET)
        if source in self._here.get(partition, (source,)):
            return at_ms
        return max(at_ms, self._evicted_ms[partition])

    def apply_frame(self, frame: Frame) -> None:
        """Take in a frame's lanes; a frontier never moves back, and a zombie's word on who is silent doesn't count."""
        self._news = True
        partition = frame.partition
        for told in (partition + 1, frame.partitions):
            if told > self._most_partitions:
                self.doubtful_partitions = max(self.doubtful_partitions, told)
            else:
                self._learn(told)
        # A source that has spoken and lost its lane since the last frame has upserts here, and no lane.
        said = dict.fromkeys(frame.sources if frame.evicted_ms != UNSET else (), frame.evicted_ms)
        said |= {lane.source: lane.frontier_ms for lane in frame.lanes}
        for source, frontier_ms in said.items():
            self._lane_ms[partition, source] = max(self._lane_ms.get((partition, source), UNSET), frontier_ms)
            if source not in self._sources:
                self._sources = self._sources | {source}
                # It may have been here before.
                self.fold_ms[source] = max(self.fold_ms.get(source, UNSET), self._forgotten_ms)
        if frame.upto >= self._stamp.get(partition, UNSET):
            self._stamp[partition] = frame.upto
            self._idle[partition] = {lane.source for lane in frame.lanes if lane.idle}, frame.idle
            self._ended[partition] = {lane.source for lane in frame.lanes if lane.ended}
            if frame.evicted_ms != UNSET:
                self._here[partition] = {lane.source for lane in frame.lanes}
                self._evicted_ms[partition] = frame.evicted_ms

    def limit_partitions(self, most_partitions: int) -> None:
        """Set how many partitions there are, or are promised: whoever has said more was wrong."""
        self._most_partitions = most_partitions
        if self.doubtful_partitions <= most_partitions:
            self._learn(self.doubtful_partitions)
        self._partitions, self.doubtful_partitions = min(self._partitions, most_partitions), 0
        self._news = True

    def advance(self, *, publishing: bool) -> bool:
        """Recompute the frontiers; return whether any has moved.

        Parameters
        ----------
        publishing
            False while the shard is read again from its checkpoint's offset: what that says counts from its end on.
        """
        if not self._news:
            return False
        self._news = not publishing
        if publishing:
            self._forgotten_ms = max(self._forgotten_ms, self._saved.forgotten_ms)
        before = self.final_ms, self.fold_ms
        self.final_ms, self.fold_ms = dict(self.final_ms), dict(self.fold_ms)
        for source in (ALL, *self._sources):
            if publishing:
                saved = self._saved
                self._raise(source, saved.final.get(source, UNSET), saved.folded.get(source, UNSET))
            if not self._advance(source):
                # One that is gone holds nothing back for ever: past the horizon the others decide. ALL came first.
                # Where all have ended, what isn't folded may go on.
                least_ms = min(self.final_ms.get(ALL, UNSET) - self._horizon_ms, self.fold_ms.get(ALL, UNSET))
                self._raise(source, least_ms, least_ms)
        return before != (self.final_ms, self.fold_ms)

    def _advance(self, source: str) -> bool:
        """Recompute a source's frontiers; return whether any of its lanes is awake."""
        known, awake, ended, least_ms, away_ms = [], [], [], -UNSET, -UNSET
        if max(self._partitions, self.doubtful_partitions) > len(self._idle):
            # One that hasn't spoken holds back.
            awake, least_ms = [UNSET], UNSET
        for partition, (idle, rest) in self._idle.items():
            for name in self._sources if source == ALL else (source,):
                at_ms = self._lane_ms.get((partition, name))
                if at_ms is not None and name in self._ended.get(partition, ()):
                    ended.append(at_ms)
                    continue
                if at_ms is not None and name not in self._here.get(partition, (name,)):
                    ended.append(at_ms := self.frontier_ms(partition, name))
                    least_ms, away_ms = min(least_ms, at_ms), min(away_ms, at_ms)
                    continue
                least_ms = min(least_ms, UNSET if at_ms is None else at_ms)
                if at_ms is not None:
                    known.append(at_ms)
                if not (rest if at_ms is None else name in idle):
                    awake.append(UNSET if at_ms is None else at_ms)
        if known:
            # With all of them idle, time stands where the least of them is.
            final_ms = min(awake or known)
            self._raise(source, final_ms, max(least_ms, final_ms - self._horizon_ms))
        elif ended and not awake:
            newest_ms = max(ended)
            self._raise(source, -(-newest_ms // self._longest_ms) * self._longest_ms, min(newest_ms, away_ms))
        return bool(awake)

    def _raise(self, source: str, final_ms: int, fold_ms: int) -> None:
        self.final_ms[source] = max(self.final_ms.get(source, UNSET), final_ms)
        self.fold_ms[source] = max(self.fold_ms.get(source, UNSET), fold_ms)

    @property
    def may_forget(self) -> bool:
        """Whether any lane has made room for another."""
        return bool(self._here)

    def forget(self, held: Collection[str]) -> None:
        """Forget sources that have no lane in any partition; if one comes again, it begins behind what it had.

        Parameters
        ----------
        held
            Those of which results may still change.
        """
        if len(self._idle) < self._partitions:
            return
        lanes = {source for partition, source in self._lane_ms if source in self._here.get(partition, (source,))}
        gone = self._sources - lanes - set(held)
        if not gone:
            return
        self._forgotten_ms = max(self._forgotten_ms, *map(self.closed_ms, gone))
        self._sources = self._sources - gone
        self._lane_ms = {lane: at_ms for lane, at_ms in self._lane_ms.items() if lane[1] not in gone}
        for times_ms in (self.final_ms, self.fold_ms):
            for source in gone:
                times_ms.pop(source, None)

    def frontiers(self) -> Frontiers:
        """Return what a snapshot is to know."""
        return Frontiers(
            self.final_ms,
            self.fold_ms,
            self._partitions,
            set(self._sources),
            self._lane_ms,
            self._stamp,
            self._idle,
            self._ended,
            self._here,
            self._evicted_ms,
            self._forgotten_ms,
        )

    def views(self) -> Views:
        """Return what a checkpoint is to know."""
        ends = [first for first, _ in self._added[1:]] + [self._partitions]
        self._added = [
            (first, folded)
            for (first, folded), end in zip(self._added, ends, strict=False)
            if any(self._is_behind(partition, folded) for partition in range(first, end))
        ]
        return Views(self._partitions, self.fold_ms, self.final_ms, self._added, self._forgotten_ms)

    def _is_behind(self, partition: int, folded: dict[str, int]) -> bool:
        """Return whether any lane of a partition may still have slices of what was folded without it."""
        of_all = folded.get(ALL, UNSET)
        return any(
            self.frontier_ms(partition, source) < max(folded.get(source, UNSET), of_all) for source in self._sources
        )

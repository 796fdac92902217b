"""When windows of one shard are final, and when their slices may be folded for good."""

from collections import defaultdict
from collections.abc import Collection

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import NEVER_MS, Frame
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.finality.previous_owner import PreviousOwner
from tickertape.stream.engine.finality.standing import Standing, State
from tickertape.stream.engine.recovery.state import Frontiers


class Finality:
    """Two frontiers per source, from the lanes of all input partitions: up to when windows are final, and folded.

    Any source may be on any partition. So every partition delays every source, by the state of the source's lane:

    ==========================  ===========================  ==========================================
    the source's lane there     windows become final         slices are folded for good
    ==========================  ===========================  ==========================================
    active                      up to the lane's frontier    up to the lane's frontier
    none, the owner is active   never                        never
    idle                        without waiting for it       up to its frontier, or the horizon behind
    none, the owner is idle     without waiting for it       the horizon behind the final frontier
    evicted, may return         without waiting for it       up to where its next lane will begin, or
                                                             the horizon behind
    ended                       without waiting for it       without waiting for it
    ==========================  ===========================  ==========================================

    If all lanes of a source are idle, the least of their frontiers decides. If all have ended, every window is final
    that begins before the newest slice ends; a source that returns continues where it ended.

    Parameters
    ----------
    horizon_ms
        How far the fold frontier may stay behind the final one for the sake of idle lanes.
    longest_ms
        The width of the longest windows.
    saved
        The frontiers in the last checkpoint.
    known
        The frontiers in a snapshot from an earlier offset, from which the shard is read on; None without a snapshot.
    again
        True if windows that the previous owner had finished are made again, because stages have to see them.

    Attributes
    ----------
    final_ms
        By source, and for `ALL`: windows that end at or before this time are final.
    fold_ms
        Likewise: slices that end at or before this time are folded for good, and change no more.
    previous
        What the previous owner had finished.
    """

    def __init__(
        self, horizon_ms: int, longest_ms: int, saved: Views, known: Frontiers | None = None, *, again: bool = False
    ) -> None:
        self._horizon_ms = horizon_ms
        self._longest_ms = longest_ms
        self._saved = saved
        self.previous = PreviousOwner(saved, horizon_ms, again=again)
        self.final_ms: dict[str, int] = {}
        self.fold_ms: dict[str, int] = {}
        self._partitions = saved.partitions
        self._added = list(saved.added)
        self._most_partitions = MOST_PARTITIONS
        #: The number of partitions that a frame reports, if it exceeds the most allowed; it counts meanwhile
        self.doubtful_partitions = 0
        self._sources = saved.folded.keys() - {ALL}
        # By partition and source: each lane's frontier.
        self._lane_ms: defaultdict[int, dict[str, int]] = defaultdict(dict)
        self._stamp: dict[int, int] = {}
        # By partition: the sources whose lanes are idle, and whether all sources without a lane there are.
        self._idle: dict[int, tuple[set[str], bool]] = {}
        self._ended: dict[int, set[str]] = {}
        self._here: dict[int, set[str]] = {}
        self._evicted_ms: dict[int, int] = {}
        # If windows are made again, so are those of sources that were forgotten.
        self._forgotten_ms = NEVER_MS if again else saved.forgotten_ms
        self._news = True
        if known is not None:
            self.final_ms, self.fold_ms = known.final_ms, known.fold_ms
            self._partitions = max(self._partitions, known.partitions)
            self._sources = self._sources | known.sources
            for (partition, source), at_ms in known.lane_ms.items():
                self._lane_ms[partition][source] = at_ms
            self._stamp = known.stamp
            self._idle, self._ended = known.idle, known.ended
            self._here, self._evicted_ms = known.here, known.evicted_ms
            self._forgotten_ms = max(self._forgotten_ms, known.forgotten_ms)
        self._standings: dict[str, Standing] = {source: Standing() for source in self._sources}
        for partition in self._idle:
            self._sort_lanes(partition)

    def closed_ms(self, source: str) -> int:
        """Return the time up to which slices change no more."""
        return max(self.fold_ms.get(source, NEVER_MS), self.previous.finished_ms(source))

    def settled_ms(self, source: str) -> int:
        """Return the time up to which windows can't change any more."""
        return self.fold_ms.get(source, self._forgotten_ms)

    def most_closed_ms(self) -> int:
        """Return the greatest `closed_ms` of any source."""
        return max(self.closed_ms(source) for source in (ALL, *self._sources))

    def _learn(self, partitions: int) -> None:
        """Set the number of partitions; nothing folded so far has data of the added ones."""
        if partitions <= self._partitions:
            return
        names = self.fold_ms.keys() | self._saved.folded.keys()
        folded = {name: self.closed_ms(name) for name in names}
        if any(at_ms != NEVER_MS for at_ms in folded.values()):
            self._added.append((self._partitions, folded))
        self._partitions = partitions
        self._news = True

    @property
    def is_any_behind(self) -> bool:
        """Whether any lane is behind the fold frontier, so its slices may still grow after they were folded."""
        of_all = self.fold_ms.get(ALL, NEVER_MS)
        return any(
            lanes[state].least(-NEVER_MS) < max(of_all, self.fold_ms.get(source, NEVER_MS))
            for source, standing in self._standings.items()
            if (lanes := standing.lanes)
            for state in (State.AWAKE, State.IDLE, State.EVICTED, State.ENDED)
        )

    def frontier_ms(self, partition: int, source: str) -> int:
        """Return a lane's frontier; for an evicted source, where its next lane will begin."""
        at_ms = self._lane_ms[partition].get(source, NEVER_MS)
        if source in self._here.get(partition, (source,)):
            return at_ms
        return max(at_ms, self._evicted_ms[partition])

    def apply_frame(self, frame: Frame) -> None:
        """Apply a frame's lanes: frontiers never move back, and a stale owner's frame doesn't change who is idle."""
        partition = frame.partition
        for told in (partition + 1, frame.partitions):
            if told > self._most_partitions:
                self.doubtful_partitions = max(self.doubtful_partitions, told)
            else:
                self._learn(told)
        lane_ms, lanes = self._lane_ms[partition], frame.lanes
        # A source whose lane opened and was evicted since the last frame has upserts in this one, and no lane.
        said = dict.fromkeys(frame.sources if frame.evicted_ms != NEVER_MS else (), frame.evicted_ms)
        for lane in lanes:
            said[lane.source] = lane.frontier_ms
        for source, frontier_ms in said.items():
            if frontier_ms > lane_ms.get(source, NEVER_MS - 1):
                lane_ms[source] = frontier_ms
            if source not in self._sources:
                self._sources = self._sources | {source}
                # The source may be one that was forgotten.
                self.fold_ms[source] = max(self.fold_ms.get(source, NEVER_MS), self._forgotten_ms)
        if frame.upto >= self._stamp.get(partition, NEVER_MS):
            self._stamp[partition] = frame.upto
            self._idle[partition] = {lane.source for lane in lanes if lane.idle}, frame.idle
            self._ended[partition] = {lane.source for lane in lanes if lane.ended}
            # Once a lane was evicted, each newer frame says which are there.
            if frame.evicted_ms != NEVER_MS or partition in self._here:
                self._here[partition] = {lane.source for lane in lanes}
                self._evicted_ms[partition] = max(frame.evicted_ms, self._evicted_ms.get(partition, NEVER_MS))
        if len(self._standings) < len(self._sources):
            # A new source has a state in each partition.
            self._standings |= {source: Standing() for source in self._sources - self._standings.keys()}
            for one in self._idle:
                self._sort_lanes(one)
        else:
            self._sort_lanes(partition)

    def _sort_lanes(self, partition: int) -> None:
        """Sort the lanes of a partition with a frame by their states."""
        lane_ms, (idle, rest) = self._lane_ms[partition], self._idle[partition]
        ended, here = self._ended.get(partition, ()), self._here.get(partition)
        for source, standing in self._standings.items():
            at_ms = lane_ms.get(source)
            if at_ms is None:
                state, at_ms = State.AWAY if rest else State.UNKNOWN, NEVER_MS
            elif source in ended:
                state = State.ENDED
            elif here is not None and source not in here:
                state, at_ms = State.EVICTED, self.frontier_ms(partition, source)
            else:
                state = State.IDLE if source in idle else State.AWAKE
            self._news |= standing.set(partition, state, at_ms)

    def limit_partitions(self, most_partitions: int) -> None:
        """Set the most partitions that there can be; a frame that reported more was wrong."""
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
            False while the shard is read up to its checkpoint; the checkpoint's frontiers count from there on.
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
                self._raise(source, saved.final.get(source, NEVER_MS), saved.folded.get(source, NEVER_MS))
            if not self._advance(source):
                # No source that is gone delays results for ever: beyond the horizon, the other sources decide, so ALL
                # comes first. If all have ended, folding may go on.
                least_ms = min(self.final_ms.get(ALL, NEVER_MS) - self._horizon_ms, self.fold_ms.get(ALL, NEVER_MS))
                self._raise(source, least_ms, least_ms)
        return before != (self.final_ms, self.fold_ms)

    def _advance(self, source: str) -> bool:
        """Recompute a source's frontiers; return whether any of its lanes is active."""
        sources = self._sources if source == ALL else (source,)
        standings = [self._standings[name].lanes for name in sources]

        def least_ms(*states: State) -> int | None:
            """Return the least frontier of the lanes in some states, or None without such lanes."""
            some = [lanes[state] for lanes in standings for state in states if lanes[state]]
            return min((lanes.least(NEVER_MS) for lanes in some), default=None)

        # A partition without a frame yet delays everything.
        delayed = max(self._partitions, self.doubtful_partitions) > len(self._idle)
        awake_ms = NEVER_MS if delayed else least_ms(State.AWAKE, State.UNKNOWN)
        known_ms = least_ms(State.AWAKE, State.IDLE)
        if known_ms is not None:
            # If all are idle, the least of them decides.
            final_ms = known_ms if awake_ms is None else awake_ms
            open_ms = least_ms(State.AWAKE, State.IDLE, State.EVICTED, State.UNKNOWN, State.AWAY)
            fold_ms = NEVER_MS if delayed or open_ms is None else open_ms
            self._raise(source, final_ms, max(fold_ms, final_ms - self._horizon_ms))
        elif awake_ms is None:
            over = [lanes[state] for lanes in standings for state in (State.ENDED, State.EVICTED) if lanes[state]]
            if over:
                newest_ms = max(lanes.greatest(NEVER_MS) for lanes in over)
                evicted_ms = least_ms(State.EVICTED)
                fold_ms = newest_ms if evicted_ms is None else evicted_ms
                self._raise(source, -(-newest_ms // self._longest_ms) * self._longest_ms, fold_ms)
        return awake_ms is not None

    def _raise(self, source: str, final_ms: int, fold_ms: int) -> None:
        self.final_ms[source] = max(self.final_ms.get(source, NEVER_MS), final_ms)
        self.fold_ms[source] = max(self.fold_ms.get(source, NEVER_MS), fold_ms)

    @property
    def may_forget(self) -> bool:
        """Whether any lane was evicted."""
        return bool(self._here)

    def forget(self, in_use: Collection[str]) -> None:
        """Forget sources without a lane in any partition; one that returns begins after what it had.

        Parameters
        ----------
        in_use
            Sources whose results may still change.
        """
        if len(self._idle) < self._partitions:
            return
        lanes = {
            source
            for partition, lane_ms in self._lane_ms.items()
            for source in lane_ms
            if source in self._here.get(partition, (source,))
        }
        gone = self._sources - lanes - set(in_use)
        if not gone:
            return
        self._forgotten_ms = max(self._forgotten_ms, *map(self.closed_ms, gone))
        self._sources = self._sources - gone
        self._standings = {source: standing for source, standing in self._standings.items() if source not in gone}
        for lane_ms in self._lane_ms.values():
            for source in gone & lane_ms.keys():
                del lane_ms[source]
        for times_ms in (self.final_ms, self.fold_ms):
            for source in gone:
                times_ms.pop(source, None)

    def frontiers(self) -> Frontiers:
        """Return the frontiers for a snapshot."""
        return Frontiers(
            self.final_ms,
            self.fold_ms,
            self._partitions,
            set(self._sources),
            {(partition, source): at for partition, lanes in self._lane_ms.items() for source, at in lanes.items()},
            self._stamp,
            self._idle,
            self._ended,
            self._here,
            self._evicted_ms,
            self._forgotten_ms,
        )

    def views(self) -> Views:
        """Return the frontiers for a checkpoint."""
        ends = [first for first, _ in self._added[1:]] + [self._partitions]
        self._added = [
            (first, folded)
            for (first, folded), end in zip(self._added, ends, strict=False)
            if any(self._is_behind(partition, folded) for partition in range(first, end))
        ]
        return Views(self._partitions, self.fold_ms, self.final_ms, self._added, self._forgotten_ms)

    def _is_behind(self, partition: int, folded: dict[str, int]) -> bool:
        """Return whether a lane of a partition may still have slices for times that were folded without it."""
        of_all = folded.get(ALL, NEVER_MS)
        return any(
            self.frontier_ms(partition, source) < max(folded.get(source, NEVER_MS), of_all) for source in self._sources
        )

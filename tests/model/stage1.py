"""Stage 1: the owner of an input partition turns its log into frames of slices.

Everything here follows from one invariant: a row (slice, stamp) is a pure function of the log below the stamp. So any
number of owners may publish, one after the other or at once: the highest stamp is valid, and rows of equal stamps are
equal.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .fast_lane import FastLane, SliceKey
from .words import (
    EVER,
    IDLE,
    NEVER,
    SHARDS,
    SKEW,
    Empty,
    Event,
    Frame,
    Heartbeat,
    Log,
    Part,
    Poison,
    Position,
    Record,
    Row,
    SliceCommit,
    Time,
    bundles,
    end_of,
    parts,
    shard_of,
    slice_of,
)


@dataclass
class Lane:
    """One source within one partition."""

    watermark: Time = NEVER
    frontier: Time = NEVER
    heard: Time = 0  # by the owner's clock
    idle: bool = False
    ended: bool = False
    since: Position = (0, 0)  # events before it were rejected, because there was no room for a lane


@dataclass(frozen=True)
class Room:
    """The most lanes of a partition, and how far a lane has to be behind a new source's record to be evicted for it."""

    sources: int
    silence: Time


AMPLE = Room(99, EVER)


@dataclass
class Partial:
    first: int  # the first record's offset, which no commit passes while the slice is open
    count: int = 0
    total: float = 0.0
    ids: set[int] = field(default_factory=set)


@dataclass
class Output:
    """What a flush publishes. Late events and dead letters are keyed by position, so repeating one is an upsert."""

    frames: dict[int, Frame] = field(default_factory=dict)  # by shard
    late: dict[Position, Time] = field(default_factory=dict)  # by how much
    dead: set[Position] = field(default_factory=set)


class Owner(FastLane):
    def __init__(
        self,
        partition: int,
        log: Log,
        commit: SliceCommit,
        lateness: int,
        now: Time,
        metadata: int = 0,
        most: Callable[[], int] = lambda: 99,
        room: Room = AMPLE,
        horizon: Time = EVER,
    ) -> None:
        self.partition, self.log, self.lateness = partition, log, lateness
        self.read, self.base, self.start = commit.offset, commit.upto, commit.start
        self.index = 0  # of the event in its bundle
        self.lanes = {
            source: Lane(watermark, frontier, now, ended=source in commit.ended, since=commit.since.get(source, (0, 0)))
            for source, (watermark, frontier) in commit.lanes.items()
        }
        self.tallies = Counter(commit.tallies)
        self.open: dict[SliceKey, Partial] = {}
        self.dirty: set[SliceKey] = set()
        self.promises = {}
        self.shown = {}
        self.output = Output()
        # Kafka's metadata may be stale, so the number in the commit counts too.
        self.partitions = max(metadata, commit.partitions)
        self.room, self.evicted, self.horizon = room, commit.evicted, horizon
        self.most = most  # asks how many partitions there are or will be
        self.since, self.rest = now, False
        self.lost = commit.lost
        if log.begin > commit.offset:
            self.trimmed(now)

    def trimmed(self, now: Time) -> None:
        """Close the open slices, some of whose records retention deleted: what was published of them stays valid."""
        unread = max(0, self.log.begin - self.base)
        oldest = min((lane.frontier for lane in self.lanes.values()), default=NEVER)
        for lane in self.lanes.values():
            if lane.watermark > NEVER:
                lane.frontier = max(lane.frontier, end_of(slice_of(lane.watermark)))
        newest = max((lane.frontier for lane in self.lanes.values()), default=NEVER)
        # Records that were never read may be of any source, known or not, and of any time that is possible by now.
        self.lost = (NEVER, max(newest, end_of(slice_of(now + SKEW)))) if unread else (oldest, newest)
        self.tallies["lost"] += unread
        self.read, self.base = self.log.begin, max(self.base, self.log.begin)

    @property
    def again(self) -> bool:
        """Whether records are read again that a previous owner had read: they only fill open slices."""
        return self.read < self.base

    @property
    def at(self) -> Position:
        return self.read, self.index

    def block(self, size: int, now: Time) -> None:
        """Read some records, each as a whole: what has been read never ends within a bundle."""
        for record in self.log.records[self.read : self.read + size]:
            self.take_record(record, now)
            self.read, self.index = self.read + 1, 0

    def take_record(self, record: Record, now: Time) -> None:
        if not self.again:
            self.tallies.update(bundles(record))
        for self.index, part in enumerate(parts(record)):
            if self.again:
                self.refold(part)
            else:
                self.tallies[self.take(part, now)] += 1

    def take(self, record: Part, now: Time) -> str:
        """Process a record or an event of a bundle, and return its tally; each has exactly one."""
        match record:
            case Empty():
                return "empty"
            case Poison():
                return self.reject()
            case Heartbeat():
                self.hear(record)
                if self.admits(record, now):
                    self.move(record, self.lanes[record.source], now)
                    self.trust(record, self.lanes[record.source])
                return "heartbeats"
            case Event():
                return self.judge(record, now)

    def hear(self, heartbeat: Heartbeat) -> None:
        """Accept a higher number of partitions if it is true. Anybody may write a heartbeat, so it is checked."""
        if heartbeat.partitions <= self.most():
            self.partitions = max(self.partitions, heartbeat.partitions)

    def judge(self, event: Event, now: Time) -> str:
        if self.ahead(event) or not self.admits(event, now):
            return self.reject()
        lane = self.lanes[event.source]
        if not event.symbol:
            verdict = "unmatched"
        elif self.passed(event, lane):
            self.output.late[self.at] = lane.frontier - end_of(slice_of(event.time))
            verdict = "late"
        else:
            verdict = "counted" if self.fold(event) else "repeated"
        self.move(event, lane, now)
        return verdict

    def refold(self, record: Part) -> None:
        """Fold a record again if its slice is open. An open slice was open at all of its records: none was late."""
        lane = self.lanes.get(record.source) if isinstance(record, Event | Heartbeat) else None
        if lane is None or self.at < lane.since:
            return
        if isinstance(record, Heartbeat):
            self.trust(record, lane)
        elif isinstance(record, Event) and record.symbol and not (self.ahead(record) or self.passed(record, lane)):
            self.fold(record)

    def reject(self) -> str:
        self.output.dead.add(self.at)
        return "rejected"

    def ahead(self, event: Event) -> bool:
        return event.time > event.received + SKEW

    def passed(self, event: Event, lane: Lane) -> bool:
        return end_of(slice_of(event.time)) <= lane.frontier

    def admits(self, record: Event | Heartbeat, now: Time) -> bool:
        """Return whether a record's source has or gets a lane, which may be the lane of a silent source.

        Event times and the partition's order decide, so all owners decide alike. A heartbeat of a source without a lane
        is ignored, and an end marker evicts no lane.
        """
        if record.source in self.lanes:
            return True
        if len(self.lanes) >= self.room.sources:
            slowest = self.furthest_behind()
            if isinstance(record, Heartbeat) and record.end:
                return False
            if self.lanes[slowest].watermark >= record.time - self.room.silence:
                return False
            self.evict(slowest)
        self.lanes[record.source] = Lane(frontier=self.evicted, heard=now, since=self.at)
        return True

    def furthest_behind(self) -> str:
        return min(self.lanes, key=lambda source: (self.lanes[source].watermark, source))

    def evict(self, source: str) -> None:
        """Close and remove a lane. New lanes begin at the greatest evicted frontier: their source may be the same."""
        lane = self.lanes.pop(source)
        self.close_last(lane)
        self.evicted = max(self.evicted, lane.frontier)

    def move(self, record: Event | Heartbeat, lane: Lane, now: Time) -> None:
        lane.watermark = max(lane.watermark, record.time)
        lane.frontier = max(lane.frontier, lane.watermark - self.lateness)  # it never moves back
        lane.heard, lane.idle = now, False
        lane.ended = isinstance(record, Heartbeat) and record.end
        if lane.ended:
            self.close_last(lane)

    def close_last(self, lane: Lane) -> None:
        lane.frontier = max(lane.frontier, end_of(slice_of(lane.watermark)))

    def fold(self, event: Event) -> bool:
        """Fold an event, and return False if its slice has it already.

        Other open slices aren't searched for repeats: the outcome would depend on which slices are open.
        """
        key = event.source, event.symbol, slice_of(event.time)
        partial = self.open.setdefault(key, Partial(self.read))
        if event.id in partial.ids:
            return False
        partial.ids.add(event.id)
        self.shown.pop(key, None)
        partial.count += 1
        partial.total += event.value
        if not self.again:  # else it was published before the commit
            self.dirty.add(key)
        return True

    def timeout(self, now: Time) -> None:
        """Mark silent lanes as idle, but only at the log's end: before it, their records may be unread."""
        if self.caught_up():
            for lane in self.lanes.values():
                lane.idle = now - lane.heard >= IDLE
            self.rest = now - self.since >= IDLE

    def caught_up(self) -> bool:
        return self.read == self.log.end

    def flush(self, everyone: bool = True) -> Output:
        """Return frames, but none before `upto` is reached again: their rows would lack what isn't read yet.

        With `everyone`, every shard gets a frame with all lanes. Otherwise only shards with rows get one.
        """
        if self.again:
            return Output()
        output, self.output = self.output, Output()
        lanes = {source: (lane.frontier, lane.idle) for source, lane in self.lanes.items()}
        ended = self.ended()
        for shard in range(SHARDS):
            rows = [self.row(key) for key in sorted(self.dirty) if shard_of(key[1]) == shard]
            if rows or everyone:
                output.frames[shard] = Frame(
                    self.partition,
                    self.read,
                    self.partitions,
                    self.rest,
                    self.lost,
                    lanes,
                    rows,
                    +self.tallies,
                    ended,
                    self.evicted,
                )
        self.dirty.clear()
        self.open = {key: p for key, p in self.open.items() if end_of(key[2]) > self.frontier(key[0])}
        self.shown = {key: views for key, views in self.shown.items() if key in self.open}
        return output

    def frontier(self, source: str) -> Time:
        return self.lanes[source].frontier if source in self.lanes else self.evicted

    def ended(self) -> frozenset[str]:
        return frozenset(source for source, lane in self.lanes.items() if lane.ended)

    def row(self, key: SliceKey) -> Row:
        return Row(*key, self.open[key].count, self.open[key].total, frozenset(self.shown.get(key, ())))

    def may_commit(self) -> bool:
        """Return False while records are read again: a new commit would hide a loss that isn't published yet."""
        return not self.again

    def checkpoint(self) -> SliceCommit:
        """Return the state to commit, once everything that was flushed is published."""
        oldest = min((partial.first for partial in self.open.values()), default=self.read)
        lanes = {source: (lane.watermark, lane.frontier) for source, lane in self.lanes.items()}
        upto = max(self.base, self.read)
        since = {source: lane.since for source, lane in self.lanes.items() if lane.since > (oldest, 0)}
        return SliceCommit(
            oldest,
            upto,
            self.start,
            lanes,
            +self.tallies,
            self.partitions,
            self.ended(),
            self.evicted,
            since,
            self.lost,
        )

"""Stage 1: the owner of an input partition turns its log into frames of slices.

Everything here follows from one invariant: a row (slice, stamp) is a pure function of the log below the stamp. So any
number of owners, one after the other or at once, may publish; the highest stamp holds and equal stamps are equal.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

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
    Interval,
    Log,
    Poison,
    Record,
    Row,
    SliceCommit,
    Time,
    end_of,
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
    since: int = 0  # what came before was rejected, for there was no room


@dataclass(frozen=True)
class Room:
    """How many lanes a partition may have, and how far one has to be behind a new one to make room for it."""

    sources: int
    silence: Time


AMPLE = Room(99, EVER)


@dataclass
class Partial:
    first: int  # a commit never passes it while the slice is open
    count: int = 0
    total: float = 0.0
    ids: set[int] = field(default_factory=set)


@dataclass
class Output:
    """What a flush publishes. Late records and dead letters are keyed by offset: again is an upsert."""

    frames: dict[int, Frame] = field(default_factory=dict)  # by shard
    late: dict[int, Time] = field(default_factory=dict)  # by how much
    dead: set[int] = field(default_factory=set)


SliceKey = tuple[str, str, int]


class Owner:
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
    ) -> None:
        self.partition, self.log, self.lateness = partition, log, lateness
        self.read, self.base, self.start = commit.offset, commit.upto, commit.start
        self.lanes = {
            source: Lane(watermark, frontier, now, ended=source in commit.ended, since=commit.since.get(source, 0))
            for source, (watermark, frontier) in commit.lanes.items()
        }
        self.tallies = Counter(commit.tallies)
        self.open: dict[SliceKey, Partial] = {}
        self.dirty: set[SliceKey] = set()
        self.output = Output()
        # Of how many partitions Kafka's metadata tells, which may be old, and what the last owner had heard.
        self.partitions = max(metadata, commit.partitions)
        self.room, self.evicted = room, commit.evicted
        self.most = most  # how many there are, or are promised, by who is asked now
        self.since, self.rest = now, False
        self.lost: Interval | None = None
        if log.begin > commit.offset:
            self.trimmed(now)

    def trimmed(self, now: Time) -> None:
        """Retention has taken records that were to be read again: what was published of their slices stands."""
        unread = max(0, self.log.begin - self.base)
        oldest = min((lane.frontier for lane in self.lanes.values()), default=NEVER)
        for lane in self.lanes.values():
            if lane.watermark > NEVER:
                lane.frontier = max(lane.frontier, end_of(slice_of(lane.watermark)))
        newest = max((lane.frontier for lane in self.lanes.values()), default=NEVER)
        # What was never read may be of any source, known or not, and of any time that was possible by now.
        self.lost = (NEVER, max(newest, end_of(slice_of(now + SKEW)))) if unread else (oldest, newest)
        self.tallies["lost"] += unread
        self.read, self.base = self.log.begin, max(self.base, self.log.begin)

    @property
    def again(self) -> bool:
        """Reading what was read before: it fills open slices, and nothing else happens."""
        return self.read < self.base

    def block(self, size: int, now: Time) -> None:
        for record in self.log.records[self.read : self.read + size]:
            if self.again:
                self.refold(record)
            else:
                self.tallies[self.take(record, now)] += 1
            self.read += 1

    def take(self, record: Record, now: Time) -> str:
        """Return what becomes of the record: exactly one of the tallies."""
        match record:
            case Empty():
                return "empty"
            case Poison():
                return self.reject()
            case Heartbeat():
                self.hear(record)
                if self.admits(record, now):
                    self.move(record, self.lanes[record.source], now)
                return "heartbeats"
            case Event():
                return self.judge(record, now)

    def hear(self, heartbeat: Heartbeat) -> None:
        """Anybody may write a count, so one that is news is asked about; one that isn't true says nothing."""
        if heartbeat.partitions <= self.most():
            self.partitions = max(self.partitions, heartbeat.partitions)

    def judge(self, event: Event, now: Time) -> str:
        if self.ahead(event) or not self.admits(event, now):
            return self.reject()
        lane = self.lanes[event.source]
        if not event.symbol:
            verdict = "unmatched"
        elif self.passed(event, lane):
            self.output.late[self.read] = lane.frontier - end_of(slice_of(event.time))
            verdict = "late"
        else:
            verdict = "counted" if self.fold(event) else "repeated"
        self.move(event, lane, now)
        return verdict

    def refold(self, record: Record) -> None:
        """An open slice was open at each of its records too, so the frontier at `upto` tells which to keep."""
        if isinstance(record, Event) and record.symbol and not self.ahead(record):
            lane = self.lanes.get(record.source)
            if lane and self.read >= lane.since and not self.passed(record, lane):
                self.fold(record)

    def reject(self) -> str:
        self.output.dead.add(self.read)
        return "rejected"

    def ahead(self, event: Event) -> bool:
        return event.time > event.received + SKEW

    def passed(self, event: Event, lane: Lane) -> bool:
        return end_of(slice_of(event.time)) <= lane.frontier

    def admits(self, record: Event | Heartbeat, now: Time) -> bool:
        """Return whether there is room for a record's source, or for it in the place of one that fell silent.

        By event time and in partition order, so that all owners decide alike. A heartbeat that there is no room for
        says nothing, and nobody makes room for one that ends.
        """
        if record.source in self.lanes:
            return True
        if len(self.lanes) >= self.room.sources:
            silent = self.most_silent()
            if isinstance(record, Heartbeat) and record.end:
                return False
            if self.lanes[silent].watermark >= record.time - self.room.silence:
                return False
            self.evict(silent)
        self.lanes[record.source] = Lane(frontier=self.evicted, heard=now, since=self.read)
        return True

    def most_silent(self) -> str:
        return min(self.lanes, key=lambda source: (self.lanes[source].watermark, source))

    def evict(self, source: str) -> None:
        """Close a lane, and have all that comes after it begin where the furthest of those was: it may be the same."""
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
        """Repeats are looked for within the slice: in all open ones, what is found would hang on which are open."""
        key = event.source, event.symbol, slice_of(event.time)
        partial = self.open.setdefault(key, Partial(self.read))
        if event.id in partial.ids:
            return False
        partial.ids.add(event.id)
        partial.count += 1
        partial.total += event.value
        if not self.again:  # else it was published before the commit
            self.dirty.add(key)
        return True

    def timeout(self, now: Time) -> None:
        """Only who has read to the log's end knows that a silence is the source's."""
        if self.caught_up():
            for lane in self.lanes.values():
                lane.idle = now - lane.heard >= IDLE
            self.rest = now - self.since >= IDLE

    def caught_up(self) -> bool:
        return self.read == self.log.end

    def flush(self, everyone: bool = True) -> Output:
        """Nothing goes out before `upto` is reached again: a row there would lack what is still to be read.

        Every shard hears of every lane once in a while; in between only those that have rows.
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
        return output

    def frontier(self, source: str) -> Time:
        return self.lanes[source].frontier if source in self.lanes else self.evicted

    def ended(self) -> frozenset[str]:
        return frozenset(source for source, lane in self.lanes.items() if lane.ended)

    def row(self, key: SliceKey) -> Row:
        return Row(*key, self.open[key].count, self.open[key].total)

    def may_commit(self) -> bool:
        """While it reads again the old commit still holds, and says more: a loss has been told to nobody yet."""
        return not self.again

    def checkpoint(self) -> SliceCommit:
        """To be called when all that was flushed is published."""
        oldest = min((partial.first for partial in self.open.values()), default=self.read)
        lanes = {source: (lane.watermark, lane.frontier) for source, lane in self.lanes.items()}
        upto = max(self.base, self.read)
        since = {source: lane.since for source, lane in self.lanes.items() if lane.since > oldest}
        return SliceCommit(
            oldest, upto, self.start, lanes, +self.tallies, self.partitions, self.ended(), self.evicted, since
        )

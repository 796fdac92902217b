"""What one could get wrong, each a few lines that replace the right ones, with the class of histories that shows it."""

# ruff: noqa: ARG002 -- what is wrong often looks at less than what is right

from collections.abc import Callable, Iterator
from dataclasses import replace

from . import stage1, stage2
from .words import (
    ALL,
    NEVER,
    SKEW,
    Event,
    Frame,
    Heartbeat,
    Key,
    Log,
    Record,
    Result,
    Row,
    SliceCommit,
    Time,
    WindowCommit,
    end_of,
    slice_of,
)
from .world import C, Commits, Feeds, Sink, World

MUTATIONS: dict[str, tuple[str, type[World]]] = {}


def mutation(name: str, kind: str = "steady") -> Callable[[type], type]:
    """Register a part, or a view, in its place in a world."""

    def register(part: type) -> type:
        places: dict[type, str] = {
            stage1.Owner: "owner_type",
            stage2.Shard: "shard_type",
            Sink: "sink_type",
            Feeds: "feeds_type",
            Commits: "commits_type",
        }
        if issubclass(part, World):
            world = part
        elif issubclass(part, stage2.View):
            world = type(name, (World,), {"shard_type": type(name, (stage2.Shard,), {"view_type": part})})
        else:
            place = next(place for base, place in places.items() if issubclass(part, base))
            world = type(name, (World,), {place: part})
        MUTATIONS[name] = kind, world
        return part

    return register


# Stage 1: the commit


@mutation("commit the read position")
class CommitTheReadPosition(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), offset=self.read)


@mutation("no lanes in the commit")
class NoLanesInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), lanes={})


@mutation("no upto in the commit")
class NoUptoInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        commit = super().checkpoint()
        return replace(commit, upto=commit.offset)


@mutation("commit before publish")
class CommitBeforePublish(World):
    def settle(self, owner: stage1.Owner) -> None:
        self.commit(owner)
        if self.rng.random() < 0.3:
            del self.owners[owner.partition]
        else:
            self.publish(owner)


@mutation("commits read while one is under way")
class CommitsReadWhileOneIsUnderWay(Commits[C]):
    def read(self, p: int) -> C:
        return self.kept[p]


@mutation("commit while reading again", "retention")
class CommitWhileReadingAgain(stage1.Owner):
    def may_commit(self) -> bool:
        return True


@mutation("frontier restored from the watermark", "settings")
class FrontierRestoredFromTheWatermark(stage1.Owner):
    def __init__(
        self, partition: int, log: Log, commit: SliceCommit, lateness: int, now: Time, metadata: int = 0
    ) -> None:
        lanes = {source: (watermark, watermark - lateness) for source, (watermark, _) in commit.lanes.items()}
        super().__init__(partition, log, replace(commit, lanes=lanes), lateness, now, metadata)


# Stage 1: what becomes of a record


@mutation("lateness per block")
class LatenessPerBlock(stage1.Owner):
    def block(self, size: int, now: Time) -> None:
        self.met = {source: lane.frontier for source, lane in self.lanes.items()}
        super().block(size, now)

    def passed(self, event: Event, lane: stage1.Lane) -> bool:
        return end_of(slice_of(event.time)) <= self.met.get(event.source, NEVER)


@mutation("lateness across sources", "outages")
class LatenessAcrossSources(stage1.Owner):
    def passed(self, event: Event, lane: stage1.Lane) -> bool:
        return end_of(slice_of(event.time)) <= max(lane.frontier for lane in self.lanes.values())


@mutation("watermark moved by the rejected")
class WatermarkMovedByTheRejected(stage1.Owner):
    def judge(self, event: Event, now: Time) -> str:
        verdict = super().judge(event, now)
        self.move(event, self.lane(event.source, now), now)
        return verdict


@mutation("heartbeats ignored")
class HeartbeatsIgnored(stage1.Owner):
    def move(self, record: Event | Heartbeat, lane: stage1.Lane, now: Time) -> None:
        if isinstance(record, Event):
            super().move(record, lane, now)


@mutation("repeats not looked for")
class RepeatsNotLookedFor(stage1.Owner):
    def fold(self, event: Event) -> bool:
        super().fold(replace(event, id=self.read))
        return True


@mutation("repeats forgotten by a new owner")
class RepeatsForgottenByANewOwner(stage1.Owner):
    def refold(self, record: Record) -> None:
        super().refold(record)
        for partial in self.open.values():
            partial.ids.clear()


@mutation("repeats looked for across slices")
class RepeatsLookedForAcrossSlices(stage1.Owner):
    def fold(self, event: Event) -> bool:
        mine = (partial for key, partial in self.open.items() if key[:2] == (event.source, event.symbol))
        return not any(event.id in partial.ids for partial in mine) and super().fold(event)


# Stage 1: reading again


@mutation("tallies counted again")
class TalliesCountedAgain(stage1.Owner):
    def refold(self, record: Record) -> None:
        super().refold(record)
        self.tallies["counted"] += 1


@mutation("late reported again")
class LateReportedAgain(stage1.Owner):
    def refold(self, record: Record) -> None:
        super().refold(record)
        if isinstance(record, Event) and record.symbol and not self.ahead(record):
            lane = self.lanes.get(record.source)
            if lane and self.passed(record, lane):
                self.output.late[self.read] = lane.frontier - end_of(slice_of(record.time))


@mutation("half a slice stamped upto")
class HalfASliceStampedUpto(stage1.Owner):
    def flush(self, everyone: bool = True) -> stage1.Output:
        if not self.again:
            return super().flush(everyone)
        read, self.read = self.read, self.base
        self.dirty.update(self.open)
        output = super().flush(everyone)
        self.read = read
        return output


# Stage 1: idle, retention


@mutation("idle by silence alone")
class IdleBySilenceAlone(stage1.Owner):
    def caught_up(self) -> bool:
        return True


@mutation("slices folded from their middle", "retention")
class SlicesFoldedFromTheirMiddle(stage1.Owner):
    def trimmed(self, now: Time) -> None:
        frontiers = {source: lane.frontier for source, lane in self.lanes.items()}
        super().trimmed(now)
        for source, frontier in frontiers.items():
            self.lanes[source].frontier = frontier


@mutation("loss marked up to the watermark only", "retention")
class LossMarkedUpToTheWatermarkOnly(stage1.Owner):
    def trimmed(self, now: Time) -> None:
        super().trimmed(now)
        if self.lost:
            self.lost = self.lost[0], max((lane.frontier for lane in self.lanes.values()), default=NEVER)


# Added partitions


@mutation("heartbeat without the count", "growth")
class HeartbeatWithoutTheCount(Feeds):
    def count(self, source: str) -> int:
        return self.schedule[0][1]


@mutation("switched before the count is in the log", "growth")
class SwitchedBeforeTheCountIsInTheLog(Feeds):
    def learn(self, source: str) -> None:
        self.known[source] = len(self.logs)


@mutation("new partition used at once")
class NewPartitionUsedAtOnce(Feeds):
    def step_from(self) -> int:
        return self.now


@mutation("step within a slice")
class StepWithinASlice(Feeds):
    def step_from(self) -> int:
        return self.now + SKEW + 1


@mutation("partition by what the feed knows")
class PartitionByWhatTheFeedKnows(Feeds):
    def partitions(self, event: Event) -> int:
        return self.known[event.source]


@mutation("count by the metadata alone", "growth")
class CountByTheMetadataAlone(stage1.Owner):
    def hear(self, heartbeat: Heartbeat) -> None:
        pass


@mutation("no count in the commit", "growth")
class NoCountInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), partitions=0)


# Stage 2: rows


@mutation("last writer wins")
class LastWriterWins(stage2.View):
    def newer(self, stamp: int, old: stage2.Kept) -> bool:
        return True


@mutation("row of a passed slice accepted")
class RowOfAPassedSliceAccepted(stage2.View):
    def put(self, key: stage2.RowKey, row: Row, stamp: int, frame: int, again: bool) -> bool:
        floor, self.floor = self.floor, NEVER
        super().put(key, row, stamp, frame, again)
        self.floor = floor
        return True


@mutation("frontiers before rows")
class FrontiersBeforeRows(stage2.Shard):
    def take(self, frame: Frame) -> None:
        self.hear(frame)
        super().take(frame)


@mutation("folded by arrival")
class FoldedByArrival(stage2.View):
    def order(self, keys: Iterator[stage2.RowKey]) -> list[stage2.RowKey]:
        return sorted(keys, key=lambda key: self.rows[key].frame)


@mutation("folded while reading again")
class FoldedWhileReadingAgain(stage2.Shard):
    def block(self, size: int) -> None:
        for _ in range(size):
            super().block(1)
            for view in self.views.values():
                view.fold()


# Stage 2: finals


@mutation("final by the first lane")
class FinalByTheFirstLane(stage2.View):
    def advance(self, lanes: list[tuple[Time, bool]], horizon: Time) -> None:
        super().advance(lanes, horizon)
        self.final = max([self.final, *(frontier for frontier, _ in lanes)])


@mutation("unspoken partition ignored")
class UnspokenPartitionIgnored(stage2.Shard):
    def lanes(self, name: str) -> Iterator[tuple[Time, bool]]:
        partitions, self.partitions = self.partitions, len(self.heard)
        yield from super().lanes(name)
        self.partitions = partitions


@mutation("added partition unknown")
class AddedPartitionUnknown(stage2.Shard):
    def hear(self, frame: Frame) -> None:
        partitions = self.partitions
        super().hear(frame)
        self.partitions = partitions or self.partitions


@mutation("source without a lane ignored")
class SourceWithoutALaneIgnored(stage2.Shard):
    def lanes(self, name: str) -> Iterator[tuple[Time, bool]]:
        if len(self.heard) == self.partitions:
            for (_, source), frontier in self.frontiers.items():
                if name in (ALL, source):
                    yield frontier, False


@mutation("folded up to the final frontier", "outages")
class FoldedUpToTheFinalFrontier(stage2.View):
    def advance(self, lanes: list[tuple[Time, bool]], horizon: Time) -> None:
        super().advance(lanes, horizon)
        self.floor = self.final


# Stage 2: the commit, the sink


@mutation("shard commits where it has read to")
class ShardCommitsWhereItHasReadTo(stage2.Shard):
    def checkpoint(self) -> WindowCommit:
        return replace(super().checkpoint(), offset=self.read)


@mutation("floors not kept")
class FloorsNotKept(stage2.Shard):
    def checkpoint(self) -> WindowCommit:
        commit = super().checkpoint()
        return replace(commit, views={name: (final, NEVER) for name, (final, _) in commit.views.items()})


@mutation("losses not kept", "retention")
class LossesNotKept(stage2.Shard):
    def checkpoint(self) -> WindowCommit:
        return replace(super().checkpoint(), lost=frozenset())


@mutation("overdue rows dropped in silence", "horizon")
class OverdueRowsDroppedInSilence(stage2.Shard):
    def flush(self) -> stage2.Output:
        output = super().flush()
        output.overdue.clear()
        return output


@mutation("sink keeps the last of a key")
class SinkKeepsTheLastOfAKey(Sink):
    """As Kafka's compaction does: a zombie's provisional result may come after the final."""

    def kept(self) -> list[tuple[Key, Result]]:
        return list(dict(self.log).items())


@mutation("revision before final", "retention")
class RevisionBeforeFinal(Sink):
    def rank(self, result: Result) -> tuple[int, int]:
        return result.count, result.final

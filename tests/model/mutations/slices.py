"""Bugs of the owner of an input partition."""

# ruff: noqa: ARG002 -- bugs often ignore arguments

from dataclasses import replace
from typing import Any

from .. import stage1
from ..broker import C, Commits
from ..words import NEVER, Event, Heartbeat, Log, Part, SliceCommit, Time, end_of, slice_of
from ..world import World
from .plant import mutation

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


@mutation("commits read while one is in flight")
class CommitsReadWhileOneIsInFlight(Commits[C]):
    def read(self, p: int) -> C:
        return self.found(p)


@mutation("states of a partition share a key")
class StatesOfAPartitionShareAKey(Commits[C]):
    def key(self, p: int) -> int:
        return p


@mutation("older states deleted when a commit is sent")
class OlderStatesDeletedWhenACommitIsSent(Commits[C]):
    def write(self, p: int, commit: C) -> int:
        if p in self.named:
            self.states.pop(self.named[p], None)
        return super().write(p, commit)


@mutation("commit sent before its state is delivered")
class CommitSentBeforeItsStateIsDelivered(Commits[C]):
    def send(self, p: int, commit: C) -> None:
        super().send(p, commit)
        if p in self.named and self.rng.random() < 0.1:  # a crash in between
            self.states.pop(self.named[p], None)


@mutation("commit while reading again", "retention")
class CommitWhileReadingAgain(stage1.Owner):
    def may_commit(self) -> bool:
        return True


@mutation("frontier restored from the watermark", "settings")
class FrontierRestoredFromTheWatermark(stage1.Owner):
    def __init__(self, partition: int, log: Log, commit: SliceCommit, lateness: int, now: Time, *more: Any) -> None:
        lanes = {source: (watermark, watermark - lateness) for source, (watermark, _) in commit.lanes.items()}
        super().__init__(partition, log, replace(commit, lanes=lanes), lateness, now, *more)


# Stage 1: the tally of a record


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


@mutation("watermark moved by rejected records")
class WatermarkMovedByRejectedRecords(stage1.Owner):
    def judge(self, event: Event, now: Time) -> str:
        verdict = super().judge(event, now)
        self.move(event, self.lanes.setdefault(event.source, stage1.Lane(heard=now)), now)
        return verdict


@mutation("heartbeats ignored")
class HeartbeatsIgnored(stage1.Owner):
    def move(self, record: Event | Heartbeat, lane: stage1.Lane, now: Time) -> None:
        if isinstance(record, Event):
            super().move(record, lane, now)


@mutation("repeats not looked for")
class RepeatsNotLookedFor(stage1.Owner):
    def fold(self, event: Event) -> bool:
        super().fold(replace(event, id=1000 * self.read + self.index))
        return True


@mutation("repeats forgotten by a new owner")
class RepeatsForgottenByANewOwner(stage1.Owner):
    def refold(self, record: Part) -> None:
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
    def refold(self, record: Part) -> None:
        super().refold(record)
        self.tallies["counted"] += 1


@mutation("late records reported again")
class LateRecordsReportedAgain(stage1.Owner):
    def refold(self, record: Part) -> None:
        super().refold(record)
        if isinstance(record, Event) and record.symbol and not self.ahead(record):
            lane = self.lanes.get(record.source)
            if lane and self.passed(record, lane):
                self.output.late[self.at] = lane.frontier - end_of(slice_of(record.time))


@mutation("half-read slices published")
class HalfReadSlicesPublished(stage1.Owner):
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


@mutation("slices with deleted records folded again", "retention")
class SlicesWithDeletedRecordsFoldedAgain(stage1.Owner):
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

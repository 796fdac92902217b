"""Bugs of the owner of a shard, and of a sink."""

# ruff: noqa: ARG002 -- bugs often ignore arguments

from collections.abc import Iterator
from dataclasses import replace

from .. import stage2
from ..broker import Sink
from ..words import ALL, NEVER, Frame, Key, Result, Row, Time, WindowCommit
from .plant import mutation

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
    def advance(self, lanes: list[stage2.Lane], horizon: Time) -> None:
        super().advance(lanes, horizon)
        self.final = max([self.final, *(lane.frontier for lane in lanes)])


@mutation("partition without a frame ignored")
class PartitionWithoutAFrameIgnored(stage2.Shard):
    def lanes(self, name: str) -> Iterator[stage2.Lane]:
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
    def lanes(self, name: str) -> Iterator[stage2.Lane]:
        if len(self.heard) == self.partitions:
            for (_, source), frontier in self.frontiers.items():
                if name in (ALL, source):
                    yield stage2.Lane(frontier, False, False)


@mutation("folded up to the final frontier", "outages")
class FoldedUpToTheFinalFrontier(stage2.View):
    def advance(self, lanes: list[stage2.Lane], horizon: Time) -> None:
        super().advance(lanes, horizon)
        self.floor = self.final


# Stage 2: the commit, the sink


@mutation("shard commits its read position")
class ShardCommitsItsReadPosition(stage2.Shard):
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


@mutation("overdue rows not reported", "horizon")
class OverdueRowsNotReported(stage2.Shard):
    def flush(self) -> stage2.Output:
        output = super().flush()
        output.overdue.clear()
        return output


@mutation("sink keeps only the last record of a key")
class SinkKeepsOnlyTheLastRecordOfAKey(Sink):
    """Kafka's compaction keeps the last record of a key, which may be a zombie's provisional result after the final."""

    def kept(self) -> list[tuple[Key, Result]]:
        return list(dict(self.log).items())


@mutation("revision before final", "retention")
class RevisionBeforeFinal(Sink):
    def rank(self, result: Result) -> tuple[int, int]:
        return result.count, result.final

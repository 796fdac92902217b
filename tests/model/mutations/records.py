"""Bugs of the record in which a worker sends the frames of all its partitions."""

from dataclasses import replace

from .. import stage1, stage2
from ..words import Frame, Sent
from ..worker import Worker
from .plant import mutation


@mutation("upto per worker")
class UptoPerWorker(Worker):
    """A partition that is read again, or a zombie's, gets a stamp above what it has read."""

    def record(self, frames: list[Frame]) -> Sent:
        upto = max(frame.upto for frame in frames)
        return tuple(replace(frame, upto=upto) for frame in frames)


@mutation("lanes per worker")
class LanesPerWorker(Worker):
    """A source is as far in all partitions as in the furthest."""

    def record(self, frames: list[Frame]) -> Sent:
        lanes = dict(sorted((lane for frame in frames for lane in frame.lanes.items()), key=lambda lane: lane[1]))
        return tuple(replace(frame, lanes={source: lanes[source] for source in frame.lanes}) for frame in frames)


@mutation("rows under the worker's first partition")
class RowsUnderTheWorkersFirstPartition(Worker):
    def record(self, frames: list[Frame]) -> Sent:
        rows = [row for frame in frames for row in frame.rows]
        return (replace(frames[0], rows=rows), *(replace(frame, rows=[]) for frame in frames[1:]))


@mutation("losses of the worker's first partition only", "retention")
class LossesOfTheWorkersFirstPartitionOnly(Worker):
    def record(self, frames: list[Frame]) -> Sent:
        return (frames[0], *(replace(frame, lost=None) for frame in frames[1:]))


@mutation("a worker reads again or doesn't, by its first partition")
class AWorkerReadsAgainOrDoesnt(Worker):
    """After a rebalance, a worker goes on with some partitions and reads others again."""

    def flush(self, everyone: bool) -> tuple[list[tuple[stage1.Owner, stage1.Output]], dict[int, Sent]]:
        again = [owner for owner in self.owners[1:] if owner.again and not self.owners[0].again]
        read = {owner.partition: owner.read for owner in again}
        for owner in again:
            owner.read = owner.base
            owner.dirty.update(owner.open)
        flushed = super().flush(everyone)
        for owner in again:
            owner.read = read[owner.partition]
        return flushed


@mutation("lanes sent ahead of rows")
class LanesSentAheadOfRows(Worker):
    """Between two records with rows, the lanes go out alone, though rows wait that they cover."""

    def flush(self, everyone: bool) -> tuple[list[tuple[stage1.Owner, stage1.Output]], dict[int, Sent]]:
        waiting = {owner.partition: set(owner.dirty) for owner in self.owners}
        outputs, records = super().flush(everyone)
        if everyone and sum(owner.read for owner in self.owners) % 2:
            records = {shard: tuple(replace(frame, rows=[]) for frame in record) for shard, record in records.items()}
            for owner in self.owners:
                owner.dirty |= waiting[owner.partition] & owner.open.keys()
        return outputs, records


@mutation("frontiers of a record before its rows")
class FrontiersOfARecordBeforeItsRows(stage2.Shard):
    def take_record(self, record: Sent) -> None:
        for frame in record:
            self.hear(frame)
        super().take_record(record)


@mutation("record left out by its first frame")
class RecordLeftOutByItsFirstFrame(stage2.Shard):
    """If the worker has lost one partition, all of its record is taken for a zombie's."""

    def take_record(self, record: Sent) -> None:
        heard = self.heard.get(record[0].partition)
        if heard is None or record[0].upto >= heard.upto:
            super().take_record(record)


@mutation("a former owner's frame counts as newer")
class AFormerOwnersFrameCountsAsNewer(stage2.Shard):
    """The later frame of a partition is taken for the newer, whoever sent it."""

    def take(self, frame: Frame) -> None:
        heard = self.heard.get(frame.partition)
        super().take(replace(frame, upto=max(frame.upto, heard.upto + 1 if heard else 0)))

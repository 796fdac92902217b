"""The two stages of a replay: fold a partition's log into frames, and merge a shard's frames into results.

Each call is a task of one process.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import NEVER_MS, Frame, Lane, Tallies
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.slices.slicer_settings import settings_of
from tickertape.stream.engine.windows.windows import Windows, windows_of
from tickertape.stream.errors import LawBroken
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.replay import logs
from tickertape.stream.replay.final_lanes import FinalLanes, Sliced
from tickertape.stream.replay.frame_files import FrameFile, pieces
from tickertape.stream.replay.logs import Log, OfFiles
from tickertape.stream.results.arrow import table_of

# A partition is flushed once so many of its records or slices wait. Flushes are rare, as each repeats all open slices.
FLUSH_RECORDS = 100_000
FLUSH_SLICES = 20_000
# The precision of the time of a lane's last record, as a share of the idle time-out.
IDLE_SHARE = 0.1
# A shard's frames are merged once so many of their slices wait.
MERGE_UPSERTS = 50_000
# The `upto` of a partition's closing frame: past every offset.
_LAST = 1 << 62
# The number of results that are converted to columns at once.
TABLE_ROWS = 20_000


class Job(Struct, frozen=True):
    """The description of a replay that all of its tasks share.

    Attributes
    ----------
    settings
        The pipeline's settings.
    topic
        The input topic.
    partitions, shards
        The number of partitions of the topic, and of shards for its symbols.
    folder
        The folder for files that pass from one task to another.
    now_ms
        The time at which the replay began; a later time of receipt in a file is replaced by it. 0 for a topic, whose
        log has append times.
    """

    settings: Settings
    topic: str
    partitions: int
    shards: int
    folder: str
    now_ms: int = 0

    def slicing(self) -> Slicing:
        return next(s for s in configured(self.settings)[0] if s.topic.name == self.topic)

    def frames(self, partition: int, shard: int) -> Path:
        return Path(self.folder) / f"frames-{self.topic}-{partition}-{shard}"

    def late(self, partition: int) -> Path:
        return Path(self.folder) / f"late-{self.topic}-{partition}"

    def dead(self, partition: int) -> Path:
        return Path(self.folder) / f"dead-{self.topic}-{partition}"

    def results(self, output: str, shard: int) -> Path:
        return Path(self.folder) / "results" / output / f"{shard}.arrow"


class _Slicing:
    """Folds one partition, and writes its frames, late records and dead letters to files."""

    def __init__(self, job: Job, partition: int, begin: int, read: Callable[[int, int], None]) -> None:
        self._job = job
        self._read = read
        slicing, settings = job.slicing(), job.settings
        self._slicer = Slicer(
            slicing,
            partition,
            job.partitions,
            **settings_of(slicing, settings),
            checkpoint=None,
            committed=None,
            begin=begin,
            most_partitions=job.partitions,
            latest_ms=job.now_ms,
        )
        self._frames = [FrameFile(job.frames(partition, shard)) for shard in range(job.shards)]
        self._late, self._dead = FrameFile(job.late(partition)), FrameFile(job.dead(partition))
        self._bucket_ms = max(1, int(settings.idle_seconds * 1000 * IDLE_SHARE))
        self._heard_ms: dict[str, int] = {}
        self._first_ms = self._last_ms = 0
        self._unflushed = 0

    def receive(self, block: Block) -> None:
        # Cut by append time: the slicer reports which lanes a block has records of, but not when these were appended.
        bucket = np.maximum.accumulate(block.appended_ms) // self._bucket_ms
        for offset in block.offsets[1:][bucket[1:] > bucket[:-1]].tolist():
            self._receive(block.before(offset))
            block = block.since(offset)
        self._receive(block)

    def _receive(self, block: Block) -> None:
        slicer = self._slicer
        refused = slicer.fold(block)
        for kind, spill in ((Late, self._late), (DeadLetter, self._dead)):
            if some := [record for record in refused if isinstance(record, kind)]:
                spill.append(some)
        if len(block):
            self._first_ms = self._first_ms or int(block.appended_ms[0])
            self._last_ms = max(self._last_ms, int(block.appended_ms.max()))
            heard_ms = self._last_ms - self._last_ms % self._bucket_ms
            self._heard_ms |= dict.fromkeys(slicer.pop_active(), heard_ms)
        self._unflushed += block.events
        if self._unflushed >= FLUSH_RECORDS or len(slicer) >= FLUSH_SLICES:
            self._flush()
        self._read(block.events, max(slicer.lanes.watermark_ms.values(), default=0))

    def _flush(self, *, last: bool = False) -> None:
        self._unflushed = 0
        shards = self._job.shards
        frames = self._slicer.flush(lambda symbol: partition_for(symbol, shards), shards, everyone=True)
        for shard, frame in frames:
            # Which lanes have ended or were evicted is known at the log's end: until then a source may resume.
            lanes = frame.lanes if last else [msgspec.structs.replace(lane, ended=False) for lane in frame.lanes]
            frame = msgspec.structs.replace(frame, lanes=lanes + self._evicted(), evicted_ms=NEVER_MS)
            self._frames[shard].append(frame)

    def _evicted(self) -> list[Lane]:
        lanes = self._slicer.lanes
        gone = self._heard_ms.keys() - lanes.watermark_ms.keys()
        return [Lane(source, lanes.evicted_ms, lanes.evicted_ms) for source in sorted(gone)]

    def close(self) -> Sliced:
        self._flush(last=True)
        for spill in (*self._frames, self._late, self._dead):
            spill.close()
        slicer = self._slicer
        if slicer.upto - slicer.start != slicer.tallies.offsets:
            raise LawBroken(
                f"{self._job.topic}, partition {slicer.partition}: {slicer.upto - slicer.start} offsets were read, "
                f"but the tallies add up to another number: {slicer.tallies}"
            )
        return Sliced(
            slicer.partition,
            slicer.upto - slicer.start,
            slicer.tallies,
            slicer.lanes.to_list(),
            self._evicted(),
            self._heard_ms,
            self._first_ms,
            self._last_ms,
        )


def slice_partition(job: Job, partition: int, log: Log, read: Callable[[int, int], None]) -> Sliced:
    """Fold a partition's log into slices, and write its frames to a file for each shard.

    Parameters
    ----------
    job, partition
        The replay, and the partition's number.
    log
        The partition's log.
    read
        Called after each block with its number of records and the highest watermark.
    """
    settings = job.settings
    if isinstance(log, OfFiles):
        slicing = _Slicing(job, partition, 0, read)
        for block in logs.of_files(log, job.topic, partition, settings.block_records):
            slicing.receive(block)
        return slicing.close()
    slicing = _Slicing(job, partition, log.start, read)

    async def run() -> None:
        blocks = logs.of_topic(log, job.topic, partition, settings.block_records, settings.block_bytes)
        async for block in blocks:
            slicing.receive(block)

    asyncio.run(run())
    return slicing.close()


class Merged(Struct):
    """The outcome of merging a shard: by output, the number of final results, and the keys of those still open."""

    finals: dict[str, int]
    open: dict[str, list[str]]


def merge_shard(job: Job, shard: int, known: Sequence[FinalLanes], made: Callable[[int, int], None]) -> Merged:
    """Merge a shard's slices into results, and write the final ones as a table for each output.

    Parameters
    ----------
    job, shard
        The replay, and the shard's number.
    known
        The completing lanes of all partitions.
    made
        Called after each flush with the number of results and the start of the latest one.

    Raises
    ------
    LawBroken
        A slice came after its window had been folded.
    """
    settings = job.settings
    agents = configured(settings)
    windowings = [one for one in agents.windowings if one.slicing.topic.name == job.topic]
    makers = [_Results(windows, made) for windows in windows_of(windowings, agents.recipes, settings, horizon_ms=0)]
    for offset, frame in zip(count(), _by_time(job, shard, known), strict=False):
        for maker in makers:
            maker.apply_frame(offset, frame)
    merged = Merged({}, {})
    for maker in makers:
        merged.open |= maker.close()
        for output, table in maker.tables():
            merged.finals[output.name] = len(table)
            path = job.results(output.name, shard)
            path.parent.mkdir(parents=True, exist_ok=True)
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    return merged


def _by_time(job: Job, shard: int, known: Sequence[FinalLanes]) -> Iterator[Frame]:
    """Yield the frames of all partitions, always from the one furthest behind, so that few windows are open at once."""
    heads: list[tuple[int, int, Frame, Iterator[Frame]]] = []

    def word(partition: int, lanes: list[Lane], upto: int) -> Frame:
        return Frame(
            topic=job.topic,
            partition=partition,
            epoch=job.settings.epoch,
            upto=upto,
            partitions=job.partitions,
            idle=False,
            incomplete=None,
            lanes=lanes,
            tallies=Tallies(),
            sources=[],
            symbols=[],
            columns={},
        )

    for one in known:
        yield word(one.partition, one.before, 0)
    for one in known:
        frames = pieces(job.frames(one.partition, shard), Frame)
        if frame := next(frames, None):
            heads.append((_reach_ms(frame), one.partition, frame, frames))
    heapq.heapify(heads)
    while heads:
        _, partition, frame, frames = heads[0]
        yield frame
        if following := next(frames, None):
            heapq.heapreplace(heads, (_reach_ms(following), partition, following, frames))
        else:
            heapq.heappop(heads)
    for one in known:
        if one.after:
            yield word(one.partition, one.after, _LAST)


def _reach_ms(frame: Frame) -> int:
    return max((lane.frontier_ms for lane in frame.lanes), default=NEVER_MS)


class _Results:
    """Runs the windows of one recipe in one shard, and collects their results."""

    def __init__(self, windows: Windows, made: Callable[[int, int], None]) -> None:
        self.windows = windows
        self._made = made
        windows.assign(0, Views())
        windows.start_publishing(0)
        self._of = {output.name: _Rows(output) for output in windows.outputs}

    def apply_frame(self, offset: int, frame: Frame) -> None:
        self.windows.apply_frame(0, offset, frame)
        if self.windows.waiting >= MERGE_UPSERTS:
            self._flush()

    def _flush(self) -> None:
        while True:
            results = self.windows.flush(provisional=0)
            last_ms = max((self._of[output.name].append(value) for output, _, _, value in results), default=0)
            self._made(len(results), last_ms)
            if not self.windows.lags:
                return

    def close(self) -> dict[str, list[str]]:
        """Flush the rest, and return, by output, the keys of the windows that are open at the log's end."""
        self._flush()
        if late := self.windows.late():
            raise LawBroken(
                f"{self.windows.topic}: {len(late)} slices came after their windows were folded; the first is {late[0]}"
            )
        # All final results are published, so what remains are open windows, and nothing derived from them.
        return {self.windows.windowing.output.name: [key.decode() for _, _, key, _ in self.windows.flush()]}

    def tables(self) -> Iterator[tuple[Output, pa.Table]]:
        for rows in self._of.values():
            yield rows.output, rows.table()


class _Rows:
    """Collects the results of one output, and converts them to columns piece by piece."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._decode: Any = msgspec.json.Decoder(output.result).decode
        self._rows: list[msgspec.Struct] = []
        self._tables = [table_of(output.result, [])]

    def append(self, value: bytes) -> int:
        """Add a result, and return its start in ms."""
        row = self._decode(value)
        self._rows.append(row)
        if len(self._rows) >= TABLE_ROWS:
            self._tables.append(table_of(self.output.result, self._rows))
            self._rows = []
        return int(row.start_ms)

    def table(self) -> pa.Table:
        return pa.concat_tables([*self._tables, table_of(self.output.result, self._rows)])

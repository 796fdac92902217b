"""Folds one input partition into slices. It doesn't depend on Kafka, so tests and replay run the worker's code."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeAlias

import msgspec
import numpy as np

from tickertape.schemas.checkpoint import SliceCheckpoint
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import NEVER_MS, Frame
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.core.names import InputNames
from tickertape.stream.engine.core.refusal import dead_letter, late_record
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.frames.packing import SHOWN, pack
from tickertape.stream.engine.slices.admission import admitted
from tickertape.stream.engine.slices.advancing import advance, stored_frontiers
from tickertape.stream.engine.slices.decode import Decoded, Decoder
from tickertape.stream.engine.slices.open_slices import OpenSlices
from tickertape.stream.engine.slices.promises import Promises
from tickertape.stream.engine.slices.source_limit import SourceLimit, readmitted

_DEFAULTS = Settings()


@dataclass(frozen=True)
class Idle:
    """The idle sources of a partition: silent for the idle time-out, with the partition read to the log's end.

    Attributes
    ----------
    sources
        The sources whose lanes are idle.
    rest
        Whether all sources without a lane in the partition are idle too.
    """

    sources: frozenset[str] = frozenset()
    rest: bool = False


AWAKE = Idle()
Refused: TypeAlias = Late | DeadLetter


class Slicer:
    """The slices of one input partition, from its checkpoint on.

    Parameters
    ----------
    slicing
        The recipe of the slices.
    partition
        The partition's number.
    partitions
        The topic's number of partitions, from Kafka's metadata. Heartbeats may report more.
    slice_ms, skew_ms, lateness_ms, epoch, most_sources
        See `Settings`.
    silence_ms
        How far the least watermark has to be behind a new source's record for that lane to be evicted, ms.
    checkpoint
        The previous owner's checkpoint; None if nobody has read the partition.
    committed
        The committed offset, or None.
    begin
        The log's first offset.
    now_ms
        The current time, ms. It bounds the event times of records that retention deleted before they were read.
    most_partitions
        How many partitions there are or will be. A higher number in a heartbeat is ignored.
    latest_ms
        The latest time at which records without an append time can have been received, ms; 0 if that is unknown.
    names
        Returns the symbols that a record names. None: each record names the symbol in its field ``symbol``.
    """

    def __init__(
        self,
        slicing: Slicing,
        partition: int,
        partitions: int,
        *,
        slice_ms: int,
        skew_ms: int,
        lateness_ms: int,
        epoch: str,
        most_sources: int = _DEFAULTS.most_sources,
        silence_ms: int = _DEFAULTS.horizon_ms,
        checkpoint: SliceCheckpoint | None,
        committed: int | None,
        begin: int,
        now_ms: int = 0,
        most_partitions: int = MOST_PARTITIONS,
        latest_ms: int = 0,
        names: Callable[[Any], Collection[str]] | None = None,
    ) -> None:
        self.slicing = slicing
        self.partition = partition
        self.epoch = epoch
        self._slice_ms = slice_ms
        self._skew_ms = skew_ms
        self._room = SourceLimit(most_sources, silence_ms, self._end_ms)
        self._latest_ms = latest_ms
        if checkpoint is None:
            # An offset without a checkpoint was set by an operator.
            first = begin if committed is None else max(committed, begin)
            checkpoint = SliceCheckpoint(upto=first, start=first)
        saved = checkpoint
        self.most_partitions = most_partitions
        self.partitions = max(partitions, min(saved.partitions, most_partitions))
        self.start = saved.start
        self.read = begin if committed is None else max(committed, begin)
        self.upto = saved.upto
        self.tallies = msgspec.structs.replace(saved.tallies)
        admitted_at = {source: (first, saved.since_event.get(source, 0)) for source, first in saved.since.items()}
        self.lanes = Lanes(lateness_ms, saved.lanes, saved.evicted_ms, admitted_at)
        self.incomplete = saved.incomplete
        #: The time that decoding has taken so far.
        self.decode_seconds = 0.0
        self._decoder = Decoder(slicing.record, slicing.columns, names)
        self._active: set[str] = set()
        self._sources, self._symbols = self._decoder.sources, self._decoder.symbols
        self._open = OpenSlices(slicing, slice_ms, self._sources, self._symbols)
        self._silence_ms = silence_ms
        #: Where the sources promise to place their symbols.
        self.promises = Promises(partition, slice_ms, skew_ms, self._symbols)
        if committed is not None and begin > committed and saved.upto > saved.start:
            self._trimmed(begin, now_ms)

    def _trimmed(self, begin: int, now_ms: int) -> None:
        """Close the open slices, some of whose records retention deleted, and mark their time as incomplete.

        What was published of them stays valid. Folded again, they would lack the deleted records.
        """
        lost = max(0, begin - self.upto)
        self.tallies.lost += lost
        self.upto += lost
        self.read = max(self.read, self.upto)
        marks = [self.incomplete] if self.incomplete else []
        for source, watermark_ms in self.lanes.watermark_ms.items():
            end_ms = self._end_ms(watermark_ms)
            marks.append((self.lanes.frontier_ms[source], end_ms))
            self.lanes.raise_frontier(source, end_ms)
        if lost:
            # The deleted records are unknown, but none had a later event time.
            marks.append((0, self._end_ms(now_ms + self._skew_ms)))
        if marks:
            self.incomplete = min(since for since, _ in marks), max(until for _, until in marks)

    def _end_ms(self, time_ms: int) -> int:
        return (time_ms // self._slice_ms + 1) * self._slice_ms

    @property
    def sources(self) -> InputNames:
        """The sources, by code."""
        return self._sources

    @property
    def symbols(self) -> InputNames:
        """The symbols, by code."""
        return self._symbols

    @property
    def open(self) -> OpenSlices:
        """The open slices."""
        return self._open

    def counting(self) -> list[str]:
        """Return the sources that may go on: their lanes have not ended, and aren't past the horizon."""
        lanes = self.lanes
        since_ms = max(lanes.watermark_ms.values(), default=NEVER_MS) - self._silence_ms
        return [name for name, at_ms in lanes.watermark_ms.items() if at_ms >= since_ms and name not in lanes.ended]

    @property
    def is_keyed(self) -> bool:
        """Whether all sources that may go on promise where their keys lie."""
        return self.promises.made_by(self.counting())

    def retire(self, source: str) -> None:
        """Close the last slices of a lane that has been silent so long that they would only delay the commit."""
        self.lanes.raise_frontier(source, self._end_ms(self.lanes.watermark_ms[source]))

    def __len__(self) -> int:
        """Return the number of open slices."""
        return len(self._open)

    def fold(self, block: Block) -> list[Refused]:
        """Fold a block; return the late and the rejected records.

        Records below ``upto`` were read by a previous owner. Those of open slices are folded again, and nothing else is
        done with them.
        """
        if block.end <= self.read:
            return []
        block = block.since(self.read)
        refused: list[Refused] = []
        if block.start < self.upto:
            self._fold(block.before(self.upto), again=True)
        if block.end > self.upto:
            refused = self._fold(block.since(self.upto), again=False)
            self.upto = block.end
        self.read = block.end
        return refused

    def _fold(self, block: Block, *, again: bool) -> list[Refused]:
        self._open.forget_names()
        began, empty = perf_counter(), block.empty
        taken = self._decoder.unbundled(block)
        block, decoded = taken.block, self._decoder.decode(taken)
        self.decode_seconds += perf_counter() - began
        decoded = admitted(block, decoded, self._skew_ms, self._latest_ms)
        # Kafka's metadata may be stale. The log isn't: a heartbeat with the new number precedes every record whose
        # event time is past the step.
        reported = [beat.partitions for _, beat in decoded.heartbeats if beat.partitions <= self.most_partitions]
        self.partitions = max(self.partitions, *reported, 0)
        names = self._sources.names
        if again:
            self._take(block, readmitted(block, decoded, names, self.lanes), again=True)
            return []
        late: list[Late] = []
        for part in self._room.parts(block, decoded, names, self.lanes):
            late += self._take(block, part, again=False)
        self.tallies.heartbeats += len(decoded.heartbeats)
        self.tallies.rejected += len(decoded.rejects)
        self.tallies.empty += empty
        self.tallies.bundles += len(taken.bundles)
        self.tallies.bundled += taken.bundled
        return [*(dead_letter(block, at, reason) for at, reason in sorted(decoded.rejects)), *late]

    def _take(self, block: Block, decoded: Decoded, *, again: bool) -> list[Late]:
        """Fold decoded records, and return the late ones."""
        end_ms = (decoded.time_ms // self._slice_ms + 1) * self._slice_ms
        if again:
            frontier_ms = stored_frontiers(self.lanes, decoded, self._sources.names)
        else:
            frontier_ms = advance(self.lanes, decoded, self._sources.names, self._slice_ms, self._active)
        self.promises.hear(((int(block.offsets[at]), beat) for at, beat in decoded.heartbeats), self.lanes)
        late = end_ms <= frontier_ms
        wanted, n_unmatched = ~late, 0
        if decoded.named is not None:
            matched = decoded.named > 0
            late, wanted = late & matched, wanted & matched
            n_unmatched = len(decoded) - int(np.count_nonzero(matched))
        kept = self._open.merge(decoded, end_ms, wanted, block.offsets)
        if again:
            return []
        tallies = self.tallies
        tallies.late += (n_late := int(np.count_nonzero(late)))
        tallies.counted += kept
        tallies.repeated += len(decoded) - n_unmatched - n_late - kept
        tallies.unmatched += n_unmatched
        return [
            self._late(block, decoded, i, int(end_ms[i]), int(frontier_ms[i]))
            for i in (np.flatnonzero(late).tolist() if n_late else ())
        ]

    def flush(
        self, shard_of: Callable[[str], int], shards: int, *, everyone: bool, idle: Idle = AWAKE, behind: bool = False
    ) -> list[tuple[int, Frame]]:
        """Return frames of the slices that have changed, each with its shard; forget the closed slices.

        There are no frames while records that a previous owner had read are read again: a slice would be published
        without some of its records.

        Parameters
        ----------
        shard_of
            Returns a symbol's shard.
        shards
            The number of shards.
        everyone
            Whether every shard gets a frame, even without upserts. Those without upserts get the same object.
        idle
            The idle sources.
        """
        if self.read < self.upto:
            return []
        by_shard = self._by_shard(self._open.pop_dirty(), shard_of)
        aggregate, columns = self.slicing.aggregate, self._open.columns
        names = self._sources.names, self._symbols.names
        schema, optional = aggregate.schema | SHOWN, aggregate.optional | SHOWN.keys()
        empty = self._empty_frame(idle, behind=behind)
        frames = [
            (
                shard,
                msgspec.structs.replace(empty, **pack(columns, rows, *names, schema, optional)),
            )
            for shard, rows in by_shard.items()
        ]
        if everyone:
            frames += [(shard, empty) for shard in range(shards) if shard not in by_shard]
        self._open.release(self.lanes)
        return frames

    def _empty_frame(self, idle: Idle, *, behind: bool) -> Frame:
        """Return a frame without slices."""
        return Frame(
            topic=self.slicing.topic.name,
            partition=self.partition,
            epoch=self.epoch,
            upto=self.upto,
            partitions=self.partitions,
            idle=idle.rest,
            incomplete=self.incomplete,
            lanes=self.lanes.to_list(idle.sources),
            tallies=msgspec.structs.replace(self.tallies),
            sources=[],
            symbols=[],
            columns={},
            evicted_ms=self.lanes.evicted_ms,
            behind=behind,
            keyed=self.is_keyed,
        )

    def _by_shard(self, rows: Ints, shard_of: Callable[[str], int]) -> dict[int, Ints]:
        """Return rows of open slices by the shard of their symbol."""
        if not len(rows):
            return {}
        symbols, of = np.unique(self._open.columns["symbol"][rows], return_inverse=True)
        shards = np.array([shard_of(self._symbols.names[code]) for code in symbols.tolist()], np.int64)[of]
        return {shard: rows[shards == shard] for shard in np.unique(shards).tolist()}

    def pop_active(self) -> set[str]:
        """Return the sources with a record or a heartbeat since the last call."""
        active, self._active = self._active, set()
        return active

    @property
    def is_dirty(self) -> bool:
        return self.read >= self.upto and self._open.is_dirty

    def checkpoint(self) -> tuple[int, SliceCheckpoint]:
        """Return the offset to commit, and the checkpoint; all changed slices must have been published."""
        offset = self._open.needed_offset(self.read)
        since = {source: at for source, at in self.lanes.admitted_at.items() if at > (offset, 0)}
        saved = SliceCheckpoint(
            upto=self.upto,
            start=self.start,
            lanes=self.lanes.to_list(),
            tallies=msgspec.structs.replace(self.tallies),
            incomplete=self.incomplete,
            partitions=self.partitions,
            evicted_ms=self.lanes.evicted_ms,
            since={source: first for source, (first, _) in since.items()},
            since_event={source: index for source, (_, index) in since.items() if index},
        )
        return offset, saved

    def _late(self, block: Block, decoded: Decoded, i: int, end_ms: int, frontier_ms: int) -> Late:
        return late_record(
            block,
            int(decoded.at[i]),
            source=self._sources.names[decoded.source[i]],
            symbol=",".join(self._symbols.names[code] for code in decoded.symbols_of(i).tolist()),
            time_ms=int(decoded.time_ms[i]),
            end_ms=end_ms,
            frontier_ms=frontier_ms,
        )

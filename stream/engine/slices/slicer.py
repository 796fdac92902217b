"""Folding one input partition into slices: pure, without Kafka, so that tests and replay run what the worker runs."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from tickertape.schemas.checkpoint import SliceCheckpoint
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import Frame
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block, Bools, Ints
from tickertape.stream.engine.core.lanes import UNSET, Lanes
from tickertape.stream.engine.core.refusal import dead_letter, late_record
from tickertape.stream.engine.core.table import Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.frames.packing import pack
from tickertape.stream.engine.slices.admission import admitted
from tickertape.stream.engine.slices.decode import Decoded, Decoder
from tickertape.stream.engine.slices.repeats import Repeats
from tickertape.stream.engine.slices.source_limit import SourceLimit, readmitted

_DEFAULTS = Settings()
_FAR = np.iinfo(np.int64).max


class SliceKey(NamedTuple):
    source: str
    symbol: str
    slice_ms: int


@dataclass(frozen=True)
class Idle:
    """Who has been silent for the idle time-out, with the partition read to the log's end.

    Attributes
    ----------
    sources
        Lanes.
    rest
        True where that goes for any source that has no lane here.
    """

    sources: frozenset[str] = frozenset()
    rest: bool = False


AWAKE = Idle()
Refused: TypeAlias = Late | DeadLetter


class Slicer:
    """One input partition, from its checkpoint on.

    Parameters
    ----------
    slicing
        What to fold.
    partition, partitions
        Which one, and of how many, by Kafka's metadata; heartbeats in the log may tell of more.
    slice_ms, skew_ms, lateness_ms, epoch, most_sources
        See `Settings`.
    silence_ms
        How far behind a new source's event time the most silent lane has to be, to make room for it.
    checkpoint
        What the last owner left; None where nobody has read the partition.
    committed
        The committed offset, or None.
    begin
        The log's first offset.
    now_ms
        The time, for the mark on what retention took unread.
    most_partitions
        How many there are, or are promised; heartbeats that tell of more are wrong.
    latest_ms
        When records were received at the latest that have no append time; 0: nobody knows.
    names
        Finds the symbols that a record names; None: the one in its field ``symbol``.
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
            # An operator may have set the offset.
            first = begin if committed is None else max(committed, begin)
            checkpoint = SliceCheckpoint(upto=first, start=first)
        saved = checkpoint
        self.most_partitions = most_partitions
        self.partitions = max(partitions, min(saved.partitions, most_partitions))
        self.start = saved.start
        self.read = begin if committed is None else max(committed, begin)
        self.upto = saved.upto
        self.tallies = msgspec.structs.replace(saved.tallies)
        self.lanes = Lanes(lateness_ms, saved.lanes, saved.evicted_ms, saved.since)
        self.incomplete = saved.incomplete
        #: What decoding has taken so far.
        self.decode_seconds = 0.0
        self._decoder = Decoder(slicing.record, slicing.columns, names)
        own = {
            "first_offset": (INT, _FAR),
            "end_ms": (INT, 0),
            "highest_id": (INT, -1),
            "serial": (INT, 0),
            "dirty": (np.dtype(np.bool_), False),
        }
        self._open: Table[SliceKey] = Table(slicing.aggregate.schema | own)
        self._serial = 0
        self._repeats = Repeats()
        self._spoken: set[str] = set()
        self._sources, self._symbols = self._decoder.sources, self._decoder.symbols
        if committed is not None and begin > committed and saved.upto > saved.start:
            self._trimmed(begin, now_ms)

    def _trimmed(self, begin: int, now_ms: int) -> None:
        """Retention took records of open slices: what was published of them stands, none is folded from its middle."""
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
            # What was in them nobody knows, but that it was no later than this.
            marks.append((0, self._end_ms(now_ms + self._skew_ms)))
        if marks:
            self.incomplete = min(since for since, _ in marks), max(until for _, until in marks)

    def _end_ms(self, time_ms: int) -> int:
        return (time_ms // self._slice_ms + 1) * self._slice_ms

    def retire(self, source: str) -> None:
        """Close a lane's last slices: it has been silent for so long that they only hold back the commit."""
        self.lanes.raise_frontier(source, self._end_ms(self.lanes.watermark_ms[source]))

    def __len__(self) -> int:
        """How many slices are held."""
        return len(self._open)

    def fold(self, block: Block) -> list[Refused]:
        """Fold a block, and return the records that were not counted, but for repeats.

        Records below ``upto`` were read by an earlier owner: those of slices that are open are folded again, and
        nothing else is done with them.
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
        began = perf_counter()
        decoded = self._decoder.decode(block)
        self.decode_seconds += perf_counter() - began
        decoded = admitted(block, decoded, self._skew_ms, self._latest_ms)
        # Metadata may be old, a zombie's is: the log says it before any record of a time that an added one may have.
        told = [beat.partitions for _, beat in decoded.heartbeats if beat.partitions <= self.most_partitions]
        self.partitions = max(self.partitions, *told, 0)
        names = self._sources.names
        if again:
            self._take(block, readmitted(block, decoded, names, self.lanes), again=True)
            return []
        late: list[Late] = []
        for part in self._room.parts(block, decoded, names, self.lanes):
            late += self._take(block, part, again=False)
        self.tallies.heartbeats += len(decoded.heartbeats)
        self.tallies.rejected += len(decoded.rejects)
        self.tallies.empty += block.empty
        return [*(dead_letter(block, at, reason) for at, reason in sorted(decoded.rejects)), *late]

    def _take(self, block: Block, decoded: Decoded, *, again: bool) -> list[Late]:
        """Fold what a block holds that may count, and return what is late."""
        end_ms = (decoded.time_ms // self._slice_ms + 1) * self._slice_ms
        met_ms = self._frontiers(decoded, again=again)
        late = end_ms <= met_ms
        wanted, n_unmatched = ~late, 0
        if decoded.named is not None:
            matched = decoded.named > 0
            late, wanted = late & matched, wanted & matched
            n_unmatched = len(decoded) - int(np.count_nonzero(matched))
        kept = self._merge(block, decoded, end_ms, wanted)
        if again:
            return []
        tallies = self.tallies
        tallies.late += (n_late := int(np.count_nonzero(late)))
        tallies.counted += kept
        tallies.repeated += len(decoded) - n_unmatched - n_late - kept
        tallies.unmatched += n_unmatched
        return [
            self._late(block, decoded, i, int(end_ms[i]), int(met_ms[i]))
            for i in (np.flatnonzero(late).tolist() if n_late else ())
        ]

    def _frontiers(self, decoded: Decoded, *, again: bool) -> Ints:
        """Return the frontier that each record met, and move the lanes."""
        names, source = self._sources.names, decoded.source
        met = np.empty(len(decoded), np.int64)
        if again:
            stored = np.array([self.lanes.frontier_ms.get(name, UNSET) for name in names] or [UNSET])
            return stored[source]
        beats: dict[str, list[tuple[int, Heartbeat]]] = {}
        for at, beat in decoded.heartbeats:
            beats.setdefault(beat.source, []).append((at, beat))
        for code in np.flatnonzero(np.bincount(source, minlength=1)).tolist() if len(source) else ():
            name, mine = names[code], np.flatnonzero(source == code)
            self._spoken.add(name)
            heard = beats.pop(name, None)
            if heard is None:
                met[mine] = self.lanes.advance(name, decoded.time_ms[mine])
                continue
            met[mine] = self._hear(name, decoded.at[mine], decoded.time_ms[mine], heard)
        for name, heard in beats.items():
            self._spoken.add(name)
            self._hear(name, np.empty(0, np.int64), np.empty(0, np.int64), heard)
        return met

    def _hear(self, source: str, at: Ints, time_ms: Ints, beats: list[tuple[int, Heartbeat]]) -> Ints:
        """Move a lane by records and heartbeats, in offset order; return the frontier that each record met."""
        places = np.concatenate([at, [place for place, _ in beats]])
        times = np.concatenate([time_ms, [beat.time_ms for _, beat in beats]])
        order = np.argsort(places, kind="stable")
        in_order, first = np.empty(len(order), np.int64), 0
        ends = np.flatnonzero(np.isin(places[order], [place for place, beat in beats if beat.end]))
        for last in ends.tolist():
            in_order[order[first : last + 1]] = self.lanes.advance(source, times[order[first : last + 1]])
            self.lanes.end(source, self._end_ms(self.lanes.watermark_ms[source]))
            first = last + 1
        if first < len(order):
            in_order[order[first:]] = self.lanes.advance(source, times[order[first:]])
        return in_order[: len(at)]

    def _merge(self, block: Block, decoded: Decoded, end_ms: Ints, wanted: Bools) -> int:
        """Fold the wanted records that are no repeats; return how many."""
        if not wanted.any():
            return 0
        if not wanted.all():
            decoded, end_ms = decoded.where(wanted), end_ms[wanted]
        if (named := decoded.named) is not None:
            decoded, end_ms = decoded.by_symbol(), np.repeat(end_ms, named)
        local, rows = self._rows(decoded.source, decoded.symbol, end_ms)
        row = rows[local]
        columns = self._open.columns
        repeated = self._repeats.find(columns, rows, local, decoded.id)
        if repeated is not None:
            decoded, row = decoded.where(~repeated), row[~repeated]
        partials = self.slicing.aggregate.lift({"time_ms": decoded.time_ms, "id": decoded.id} | decoded.columns)
        self.slicing.aggregate.merge(columns, row, partials)
        np.minimum.at(columns["first_offset"], row, block.offsets[decoded.at])
        columns["dirty"][rows] = True
        # What names several symbols is there several times, one after the other.
        return len(decoded) if named is None else int(np.count_nonzero(np.diff(decoded.at, prepend=-1)))

    def _rows(self, source: Ints, symbol: Ints, end_ms: Ints) -> tuple[Ints, Ints]:
        """Return each record's place among the block's slices, and the table's rows of these."""
        first = int(end_ms.min())
        series = source * len(self._symbols.names) + symbol
        width = len(self._sources.names) * len(self._symbols.names)
        code = (end_ms - first) // self._slice_ms * width + series
        span = int(code.max()) + 1
        if span <= 8 * len(code) + 4096:
            # A look-up table is several times faster than a sort, where the codes are dense.
            seen = np.zeros(span, np.bool_)
            seen[code] = True
            codes = np.flatnonzero(seen)
            place = np.empty(span, np.int64)
            place[codes] = np.arange(len(codes))
            local = place[code]
        else:
            codes, local = np.unique(code, return_inverse=True)
        ends = first + codes // width * self._slice_ms
        starts = (ends - self._slice_ms).tolist()
        sources, symbols = self._sources.names, self._symbols.names
        n = len(symbols)
        keys = [
            SliceKey(sources[s // n], symbols[s % n], start)
            for s, start in zip((codes % width).tolist(), starts, strict=True)
        ]
        rows = self._open.rows(keys)
        columns = self._open.columns
        fresh = rows[columns["end_ms"][rows] == 0]
        if len(fresh):
            columns["end_ms"][rows] = ends
            columns["serial"][fresh] = np.arange(self._serial, self._serial + len(fresh))
            self._serial += len(fresh)
        return local, rows

    def flush(
        self, shard_of: Callable[[str], int], shards: int, *, everyone: bool, idle: Idle = AWAKE
    ) -> list[tuple[int, Frame]]:
        """Return the frames of what has changed, by shard, and release closed slices.

        There are none while it reads again what an earlier owner has read: half a slice is not to be published.

        Parameters
        ----------
        shard_of
            The shard of a symbol.
        shards
            How many there are.
        everyone
            True to make a frame for every shard, upserts or not.
        idle
            Which lanes are idle.
        """
        if self.read < self.upto:
            return []
        rows = np.flatnonzero(self._open.columns["dirty"])
        keys = self._open.keys(rows)
        by_shard: dict[int, list[int]] = {shard: [] for shard in range(shards)} if everyone else {}
        for i, key in enumerate(keys):
            by_shard.setdefault(shard_of(key.symbol), []).append(i)
        lanes = self.lanes.lanes(idle.sources)
        tallies = msgspec.structs.replace(self.tallies)
        frames = [
            (
                shard,
                Frame(
                    topic=self.slicing.topic.name,
                    partition=self.partition,
                    epoch=self.epoch,
                    upto=self.upto,
                    partitions=self.partitions,
                    idle=idle.rest,
                    incomplete=self.incomplete,
                    lanes=lanes,
                    tallies=tallies,
                    evicted_ms=self.lanes.evicted_ms,
                    **pack([keys[i] for i in places], rows[places], self._open.columns, self.slicing.aggregate.schema),
                ),
            )
            for shard, places in by_shard.items()
        ]
        self._open.columns["dirty"][rows] = False
        self._release()
        return frames

    def _release(self) -> None:
        """Forget the slices that their lane's frontier has passed: they are published."""
        if not len(self._open):
            return
        live = self._open.live()
        newest_ms = max(self.lanes.evicted_ms, *self.lanes.frontier_ms.values())
        maybe = live[self._open.columns["end_ms"][live] <= newest_ms]
        closed = [
            row
            for row, key in zip(maybe.tolist(), self._open.keys(maybe), strict=True)
            if key.slice_ms + self._slice_ms <= self.lanes.closed_ms(key.source)
        ]
        if closed:
            rows = np.array(closed, np.int64)
            self._open.release(rows)
            self._repeats.forget(self._open.columns["serial"][self._open.live()])

    def spoken(self) -> set[str]:
        """Return the lanes that have spoken since the last call."""
        spoken, self._spoken = self._spoken, set()
        return spoken

    @property
    def is_dirty(self) -> bool:
        return self.read >= self.upto and bool(self._open.columns["dirty"].any())

    def checkpoint(self) -> tuple[int, SliceCheckpoint]:
        """Return the offset to commit and what goes with it; all that is dirty must have been published."""
        live = self._open.live()
        offset = min(int(self._open.columns["first_offset"][live].min()), self.read) if len(live) else self.read
        saved = SliceCheckpoint(
            upto=self.upto,
            start=self.start,
            lanes=self.lanes.lanes(),
            tallies=msgspec.structs.replace(self.tallies),
            incomplete=self.incomplete,
            partitions=self.partitions,
            evicted_ms=self.lanes.evicted_ms,
            since={source: first for source, first in self.lanes.since.items() if first > offset},
        )
        return offset, saved

    def _late(self, block: Block, decoded: Decoded, i: int, end_ms: int, met_ms: int) -> Late:
        return late_record(
            block,
            int(decoded.at[i]),
            source=self._sources.names[decoded.source[i]],
            symbol=",".join(self._symbols.names[code] for code in decoded.symbols_of(i).tolist()),
            time_ms=int(decoded.time_ms[i]),
            end_ms=end_ms,
            frontier_ms=met_ms,
        )

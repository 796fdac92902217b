"""Merging slices into windows: pure, without Kafka. One instance serves a topic, for all shards of a worker."""

import logging
import sys
from typing import Any

import numpy as np

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.frame import Frame
from tickertape.schemas.refused import LateSlice
from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.core.names import ALL, Names
from tickertape.stream.engine.core.results import NOTHING, Finals, Output, Result, ResultWriter, WindowKey
from tickertape.stream.engine.core.table import Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.frames.packing import Inspector
from tickertape.stream.engine.frames.upserts import Arrival, SliceKey, unpack
from tickertape.stream.engine.recovery.rows import put, take
from tickertape.stream.engine.recovery.state import State
from tickertape.stream.engine.windows import source_totals as shares_of
from tickertape.stream.engine.windows.fill import Filler
from tickertape.stream.engine.windows.finality import Finality
from tickertape.stream.engine.windows.incomplete import is_incomplete
from tickertape.stream.engine.windows.merging import accumulate, as_they_stand, in_order
from tickertape.stream.engine.windows.past_horizon import PastHorizon
from tickertape.stream.engine.windows.placing import Placing

log = logging.getLogger(__name__)

BOOL: np.dtype[Any] = np.dtype(np.bool_)
_NONE = -1


class Windows:
    """Open windows, as folded prefixes and the slices that are not folded yet.

    Parameters
    ----------
    windowing
        What to make.
    slice_ms, horizon_ms, epoch, fill
        See `Settings`.
    following
        What follows them when they are final.
    """

    def __init__(
        self,
        windowing: Windowing,
        *,
        slice_ms: int,
        horizon_ms: int,
        epoch: str,
        fill: bool = False,
        following: Derived | None = None,
    ) -> None:
        self.windowing = windowing
        self.following = following or None
        self.topic = windowing.slicing.topic.name
        #: Upserts that have come since the last flush.
        self.waiting = 0
        self._slice_ms = slice_ms
        self._horizon_ms = horizon_ms
        self._epoch = epoch
        self._slices = windowing.slicing.aggregate
        self._widths = list(windowing.resolutions.items())
        self._finest_ms, self._longest_ms = min(windowing.resolutions.values()), max(windowing.resolutions.values())
        # Places that a slice has a share in: each resolution, of its source and of all.
        places = np.dtype((np.int64, (2 * len(self._widths),)))
        self._pending: Table[SliceKey] = Table(
            self._slices.schema
            | dict.fromkeys(("offset", "slice_ms", "partition", "source", "shard"), (INT, 0))
            | {"stamp": (INT, _NONE), "places": (places, _NONE)}
        )
        self._windows: Table[WindowKey] = Table(
            windowing.aggregate.schema
            | dict.fromkeys(("end_ms", "width_ms", "shard", "source"), (INT, 0))
            # The window of all sources that a source's is a share of.
            | {"whole": (INT, _NONE)}
            | {"offset": (INT, np.iinfo(np.int64).max), "dirty": (BOOL, False), "final": (BOOL, False)}
        )
        self._names = Names()
        self._names[ALL]
        self._shards: dict[int, Finality] = {}
        self._most_partitions = MOST_PARTITIONS
        self._settled: set[int] = set()
        # Shards of which windows come again that their last owner has published.
        self._again: set[int] = set()
        self._placing = Placing(windowing, slice_ms, self._pending, self._windows, self._names, self._shards)
        self._incomplete: dict[int, dict[int, tuple[int, int]]] = {}
        self._arrived: list[Arrival] = []
        self._writer = ResultWriter(windowing.output)
        self._inspector = Inspector(self._slices)
        self._overdue = PastHorizon(windowing, slice_ms)
        self._filler = Filler(windowing, slice_ms) if fill and windowing.fill else None

    def __len__(self) -> int:
        """How many windows are open."""
        return len(self._windows)

    @property
    def final_ms(self) -> int:
        """Up to when all results are final, in every shard."""
        return min((finality.final_ms.get(ALL, UNSET) for finality in self._shards.values()), default=UNSET)

    @property
    def doubt(self) -> int:
        """How many partitions somebody says that there are, where that is more than there may be; else 0."""
        return max((finality.doubt for finality in self._shards.values()), default=0)

    def trust(self, most_partitions: int) -> None:
        """Hear how many partitions there are, or are promised."""
        self._most_partitions = most_partitions
        for finality in self._shards.values():
            finality.trust(most_partitions)

    def slices_from(self, start_ms: int) -> int:
        """Return how many slices that begin at a time or later aren't folded for good yet."""
        return int(np.count_nonzero(self._pending.columns["slice_ms"][self._pending.live()] >= start_ms))

    @property
    def outputs(self) -> list[Output]:
        """What it makes: windows, and what follows them."""
        return [self.windowing.output, *(self.following.outputs if self.following else ())]

    @property
    def lags(self) -> bool:
        """Whether windows without events are left to be filled; a checkpoint made now would forget them."""
        return self._filler is not None and self._filler.lags

    def own(
        self, shard: int, saved: Views, upto: int = 0, state: State | None = None, *, fresh: bool = True
    ) -> list[str]:
        """Begin with a shard.

        Parameters
        ----------
        shard
            Which.
        saved, upto
            What its checkpoint knows, and the offset up to which it had been read then.
        state
            A snapshot of it that was made before, or None.
        fresh
            True where it is read from where it was first read, so that all that follows windows is made again.

        Returns
        -------
        list[str]
            What of that begins in the midst instead, for what was before is lost.
        """
        self._overdue.own(shard, upto, state.overdue if state else {})
        # What fills, or follows, has to hear of all windows that have come since.
        done = (self._filler is None and self.following is None) if state else not (fresh and self.following)
        known = state.frontiers if state else None
        finality = Finality(self._horizon_ms, self._longest_ms, saved, known, done=done)
        finality.trust(self._most_partitions)
        self._shards[shard], self._incomplete[shard] = finality, state.incomplete if state else {}
        if not done:
            self._again.add(shard)
        if state:
            put(state.rows, self._windows, self._pending, shard, self._names, finality.done_with_ms)
        if self._filler and state and state.carried:
            self._filler.put(shard, state.carried)
        if self.following is None:
            return []
        return self.following.own(shard, state.follows if state else None, anew=not fresh)

    def state(self, shard: int) -> State:
        """Return all that is known of a shard, as it is after a flush."""
        rows = take(self._windows, self._pending, shard)
        carried = self._filler.take(shard) if self._filler else None
        frontiers = self._shards[shard].frontiers()
        follows = self.following.take(shard, self) if self.following else {}
        return State(rows, frontiers, self._incomplete[shard], self._overdue.held(shard), carried, follows)

    def lose(self, shard: int, until_ms: int) -> None:
        """Hear that retention took frames of open windows: what is open up to a time is incomplete."""
        log.error("slices, partition %d: retention took frames of open windows: they are marked incomplete", shard)
        self._incomplete[shard][_NONE] = (0, until_ms)

    def settle(self, shard: int) -> None:
        """Hear that a shard has been read to where the last owner's checkpoint was made; only now does it publish."""
        self._settled.add(shard)

    def apply(self, shard: int, offset: int, frame: Frame) -> None:
        """Take in a frame of a shard; its upserts are merged at the next flush.

        Raises
        ------
        BadFrame
            What it says can't be; nothing of it is taken.
        """
        if frame.topic != self.topic or frame.epoch != self._epoch:
            return
        self._inspector.inspect(frame)
        finality = self._shards[shard]
        if frame.columns["slice_ms"]:
            passed_ms = [finality.frontier_ms(frame.partition, source) for source in frame.sources]
            self._arrived.append(Arrival(shard, offset, frame, passed_ms))
            self.waiting += len(frame.columns["slice_ms"]) // 8
        if frame.incomplete:
            self._incomplete[shard][frame.partition] = frame.incomplete
        # A frame's frontiers cover its own upserts, so they count from the next frame on.
        finality.hear(frame)

    def _absorb(self) -> None:
        """Merge the upserts that have arrived: of each slice the one with the highest stamp holds."""
        if not self._arrived:
            return
        keys, columns = unpack(self._arrived, self._slice_ms, self._slices.schema, self._names)
        self._arrived, self.waiting = [], 0
        self._overdue.find(keys, columns, self._shards, self._held)
        if self._filler:
            self._filler.seed(keys, columns, self._shards)
        rows, kept = self._placing.rows(keys, columns["shard"].tolist())
        held = self._pending.columns
        newer = columns["stamp"][kept] > held["stamp"][rows]
        rows, kept = rows[newer], kept[newer]
        # Where a slice comes twice, the last assignment stays.
        order = np.argsort(columns["stamp"][kept], kind="stable")
        rows, kept = rows[order], kept[order]
        # An upsert is cumulative, so a new owner needs none but the last: its offset is kept too.
        for name, column in columns.items():
            held[name][rows] = column[kept]
        touched = held["places"][rows].ravel()
        self._windows.columns["dirty"][touched[touched != _NONE]] = True

    def _held(self, key: SliceKey) -> int:
        row = self._pending.find(key)
        return 0 if row is None else self._overdue.events(self._pending.columns, np.array([row]))[0]

    def late(self) -> list[LateSlice]:
        """Return what has come past the horizon since the last call."""
        return self._overdue.take(self._shards)

    def flush(self, *, provisional: int = sys.maxsize, longer: bool = True) -> list[Result]:
        """Fold what is complete, and return a record of each window that has changed or become final.

        Parameters
        ----------
        provisional
            How many that are not final; the others wait for a later flush.
        longer
            Whether these may be longer than the finest.
        """
        self._absorb()
        for shard, finality in self._shards.items():
            if finality.advance(settled=shard in self._settled):
                self._advance(shard, finality)
        if self._filler:
            self._filler.settle(self._settled, self._shards)
        results, ends_ms, finals = self._publish(provisional=provisional, longer=longer)
        if self._filler:
            results, filled = self._filler.fill(results, ends_ms, self._settled, self._shards, self.published_ms)
            finals = finals.and_(filled)
        self._release()
        if self.following:
            # It is to have them in time order.
            results += self.following.follow(finals, self, wait=self.lags)
        self._forget()
        if not self.lags:
            self._again -= self._settled
        return results

    def _forget(self) -> None:
        """Forget sources that speak nowhere, and have no windows that may change; what is filled goes on for ever."""
        if self._filler:
            return
        for shard in self._settled:
            if self._shards[shard].may_forget:
                held = [(table.columns, table.live()) for table in (self._pending, self._windows)]
                codes = [columns["source"][rows[columns["shard"][rows] == shard]] for columns, rows in held]
                self._shards[shard].forget({self._names.names[code] for code in np.unique(np.concatenate(codes))})

    def _advance(self, shard: int, finality: Finality) -> None:
        """Fold the slices that the fold frontiers have passed, and mark the windows that are final now."""
        live = self._pending.live()
        held = self._pending.columns
        mine = live[held["shard"][live] == shard]
        end_ms = held["slice_ms"][mine] + self._slice_ms
        of_source = self._by_name(finality.fold_ms)[held["source"][mine]] >= end_ms
        of_all = finality.fold_ms.get(ALL, UNSET) >= end_ms
        half = len(self._widths)
        for columns, ready in ((slice(0, half), of_source), (slice(half, None), of_all)):
            rows = mine[ready]
            pairs = in_order(held, rows, held["places"][rows][:, columns], self._names)
            accumulate(self.windowing, held, pairs, self._windows.columns, pairs[1])
            held["places"][rows, columns] = _NONE
        folded = mine[(held["places"][mine] == _NONE).all(axis=1)]
        keys = self._pending.keys(folded)
        self._overdue.fold(shard, finality, keys, held, folded)
        if self._filler:
            self._filler.fold(shard, keys, held["offset"][folded].tolist())
        self._pending.release(folded)
        windows = self._windows.columns
        rows = self._windows.live()
        rows = rows[(windows["shard"][rows] == shard) & ~windows["final"][rows]]
        rows = rows[windows["end_ms"][rows] <= self._by_name(finality.final_ms)[windows["source"][rows]]]
        windows["final"][rows] = windows["dirty"][rows] = True

    def _by_name(self, times_ms: dict[str, int]) -> Ints:
        return np.array([times_ms.get(name, UNSET) for name in self._names.names])

    def _publish(self, *, provisional: int, longer: bool) -> tuple[list[Result], list[int], Finals]:
        """Return what has changed as records, when each ends, and all that is final for what follows."""
        held = self._windows.columns
        settled = np.zeros(max(self._shards, default=0) + 1, np.bool_)
        settled[list(self._settled)] = True
        dirty = np.flatnonzero(held["dirty"])
        dirty = dirty[settled[held["shard"][dirty]]]
        final = held["final"][dirty]
        others = dirty[~final]
        if not longer:
            others = others[held["width_ms"][others] == self._finest_ms]
        dirty = np.concatenate([dirty[final], others[:provisional]])
        # In time order: who reads a symbol's bars meets them as they were.
        dirty = dirty[np.argsort(held["end_ms"][dirty], kind="stable")]
        if not len(dirty):
            return [], [], NOTHING
        held["dirty"][dirty] = False
        rows = shares_of.with_shares(held, dirty, self._windows.live()) if self.windowing.summed else dirty
        partials = as_they_stand(self.windowing, held, rows, self._pending, self._names)
        metrics = self.windowing.aggregate.finish(partials)
        shares_of.add_up(held, rows, metrics, self.windowing.summed)
        metrics["revision"] = partials[self.windowing.revision]
        metrics |= {"final": held["final"][rows], "incomplete": is_incomplete(self._incomplete, held, rows)}
        keys = self._windows.keys(dirty)
        metrics = {name: column[: len(dirty)] for name, column in metrics.items()}
        shards, ends_ms, finals = held["shard"][dirty], held["end_ms"][dirty], NOTHING
        if self._filler:
            self._filler.tell(keys, shards.tolist(), metrics)
        if self.following:
            finals = self.following.chosen(keys, shards, metrics | {"width_ms": held["width_ms"][dirty]})
        if self._again:
            new = np.flatnonzero(ends_ms > self._published(shards, held["source"][dirty]))
            keys, ends_ms = [keys[i] for i in new.tolist()], ends_ms[new]
            metrics = {name: column[new] for name, column in metrics.items()}
        return self._writer.write(keys, metrics) if keys else [], ends_ms.tolist(), finals

    def _published(self, shards: Ints, sources: Ints) -> Ints:
        """Return the time up to which what the last owner published is not to be published again, of each window."""
        known = np.full(len(shards), UNSET)
        for shard in self._again:
            mine = shards == shard
            known[mine] = np.array([self.published_ms(shard, name) for name in self._names.names])[sources[mine]]
        return known

    def published_ms(self, shard: int, source: str) -> int:
        return self._shards[shard].published_ms(source) if shard in self._again else UNSET

    def settled_ms(self, shard: int, source: str) -> int:
        return self._shards[shard].settled_ms(source)

    def _release(self) -> None:
        """Forget windows that are published as final and can't be corrected any more."""
        held = self._windows.columns
        rows = self._windows.live()
        rows = rows[held["final"][rows] & ~held["dirty"][rows]]
        if not len(rows):
            return
        done = np.zeros(len(rows), np.bool_)
        for shard, finality in self._shards.items():
            of_all = finality.fold_ms.get(ALL, UNSET)
            done_ms = np.minimum(self._by_name(finality.fold_ms)[held["source"][rows]], of_all)
            done |= (held["shard"][rows] == shard) & (held["end_ms"][rows] <= done_ms)
        gone = np.zeros(len(held["whole"]) + 1, np.bool_)
        gone[rows[done]] = True
        held["whole"][gone[held["whole"]]] = _NONE
        self._windows.release(rows[done])

    def checkpoint(self, shard: int, read: int) -> tuple[int, Views]:
        """Return the oldest offset that an open window needs, at most ``read``, and what goes with it."""
        offsets = [read]
        for table in (self._pending, self._windows):
            rows = table.live()
            rows = rows[table.columns["shard"][rows] == shard]
            if len(rows):
                offsets.append(int(table.columns["offset"][rows].min()))
        return min(offsets), self._shards[shard].views()

    def carried(self, shard: int, read: int) -> int:
        """Return the oldest offset that windows without events are filled from, at most ``read``."""
        return self._filler.offset(shard, read) if self._filler else read

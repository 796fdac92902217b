"""Makes results for windows without events, from the last window with events before them."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import msgspec
import numpy as np
from msgspec.structs import replace

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.compiled.texts import Coded
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.results import Finals, ResultBlock, Results, ResultWriter, WindowKey
from tickertape.stream.engine.core.table import SKETCH, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.post_processor import Flush, PostProcessor, Times
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.finality.shards import Shards
from tickertape.stream.engine.frames.upserts import SliceKey, Upserts
from tickertape.stream.engine.recovery.state import Carried, FilledGroup, FilledSeries, State

# The most windows that one flush fills. A heartbeat may move a frontier by hours, and the flush would take long.
FILLED_RECORDS = 20_000

_ZEROS: dict[Any, Any] = {int: 0, int | None: 0, bool: False}
_Values: TypeAlias = tuple[Any, ...]
_end: Callable[[tuple[int, _Values]], int] = itemgetter(0)


@dataclass(slots=True)
class _Seed:
    """The newest slice of one source and symbol whose windows the previous owner had finished."""

    slice_ms: int
    #: By partition, its newest upsert: stamp, offset and the slice's columns.
    upserts: dict[int, tuple[int, int, _Values]]


@dataclass(slots=True)
class _Gap:
    """The n windows without events between two windows with events, and the values to fill them with."""

    shard: int
    symbol: str
    source: str
    resolution: str
    start_ms: int
    width_ms: int
    n: int
    values: _Values


class Filler(PostProcessor):
    """Fills the final windows of a series that have no events, from its first window with events on.

    A window is filled with values of the newest window with events before it, so it is a function of the log. When a
    window with events arrives late or is corrected, the windows after it are filled again.

    Parameters
    ----------
    windowing
        The recipe of the windows. Its ``fill`` says which metrics are carried, and from which metric.
    slice_ms
        A slice's width, ms.
    shards
        The state of each shard.
    """

    sees_slices = True

    def __init__(self, windowing: Windowing, slice_ms: int, shards: Shards) -> None:
        self._windowing = windowing
        self._slices = windowing.slicing.aggregate
        self._slice_ms = slice_ms
        self._shards = shards
        self.takes = sorted(set(windowing.fill.values()))
        self._writer = ResultWriter(windowing.output)
        self._types = {one.name: one.type for one in msgspec.structs.fields(windowing.result)}
        self._groups: dict[tuple[int, str, str], FilledGroup] = {}
        #: By shard, source and symbol: the start, ms, and the offset of the newest folded slice.
        self._newest: dict[tuple[int, str, str], tuple[int, int]] = {}
        self._seeds: dict[int, dict[tuple[str, str], _Seed]] = {}
        # The shards whose series continue those of the previous owner.
        self._started: set[int] = set()

    def assign(self, shard: int, state: State | None, *, fresh: bool) -> list[str]:  # noqa: ARG002 - upserts show it
        if state and state.carried:
            self._groups |= {(shard, *key): group for key, group in state.carried.groups.items()}
            self._newest |= {(shard, *key): newest for key, newest in state.carried.newest.items()}
        return []

    def with_state(self, state: State, shard: int, times: Times) -> State:  # noqa: ARG002 - it keeps no times
        groups = {(source, width): group for (of, source, width), group in self._groups.items() if of == shard}
        newest = {(source, symbol): at for (of, source, symbol), at in self._newest.items() if of == shard}
        return replace(state, carried=Carried(groups, newest))

    def see_upserts(self, upserts: Upserts) -> None:
        """Find the slices whose values the previous owner carried: the newest ones that it had finished."""
        if not self._shards.finality.keys() - self._started:
            return
        done_ms: dict[tuple[int, str], int] = {}
        best: dict[tuple[int, str, str, int], int] = {}
        columns = upserts.columns
        shard_of, stamps = columns["shard"].tolist(), columns["stamp"].tolist()
        for i, (partition, source, symbol, slice_ms) in enumerate(upserts.keys(np.arange(len(stamps)))):
            shard = shard_of[i]
            if (shard, source) not in done_ms:
                done = self._shards.finality[shard].previous.finished_ms(source)
                done_ms[shard, source] = NEVER_MS if shard in self._started else done
            if slice_ms + self._slice_ms > done_ms[shard, source]:
                continue
            seed = self._seeds.setdefault(shard, {}).get((source, symbol))
            if seed is None or slice_ms > seed.slice_ms:
                seed = self._seeds[shard][source, symbol] = _Seed(slice_ms, {})
            elif slice_ms < seed.slice_ms:
                continue
            if partition not in seed.upserts or stamps[i] > seed.upserts[partition][0]:
                seed.upserts[partition] = stamps[i], int(columns["offset"][i]), ()
                best[shard, source, symbol, partition] = i
        for (shard, source, symbol, partition), i in best.items():
            newest = self._seeds[shard][source, symbol].upserts
            # A newer slice, without an upsert of this partition, may have replaced the one that `i` is from.
            if partition in newest:
                stamp, offset, _ = newest[partition]
                values = [columns[name][i : i + 1].tolist() for name in self._slices.schema]
                newest[partition] = stamp, offset, tuple(value for (value,) in values)

    def _start_shards(self) -> None:
        """Start filling in the shards that have been read up to the previous owner's checkpoint."""
        for shard in self._shards.publishing - self._started:
            self._started.add(shard)
            seeds = self._seeds.pop(shard, None)
            if seeds:
                self._continue_series(shard, self._shards.finality[shard], seeds)

    def _continue_series(self, shard: int, finality: Finality, seeds: dict[tuple[str, str], _Seed]) -> None:
        """Compute the values that the previous owner carried, from the newest slices that it had finished."""
        newest: dict[tuple[str, str], int] = {}
        for (source, symbol), seed in seeds.items():
            for name in (source, ALL):
                newest[name, symbol] = max(newest.get((name, symbol), NEVER_MS), seed.slice_ms)
            offset = min(offset for _, offset, _ in seed.upserts.values())
            self._note_newest(shard, source, symbol, seed.slice_ms, offset)
        place = {key: i for i, key in enumerate(newest)}
        # In the canonical order: partition, then source.
        rows = sorted(
            (partition, source, place[name, symbol], values)
            for (source, symbol), seed in seeds.items()
            for name in (source, ALL)
            if newest[name, symbol] == seed.slice_ms
            for partition, (_, _, values) in seed.upserts.items()
        )
        at = np.array([row[2] for row in rows])
        schema, aggregate = self._slices.schema, self._windowing.aggregate
        upserts = zip(*[row[3] for row in rows], strict=True)
        parts = {name: np.array(column, schema[name][0]) for name, column in zip(schema, upserts, strict=True)}
        whole: Columns = {name: np.full(len(place), start, dtype) for name, (dtype, start) in schema.items()}
        self._slices.merge(whole, at, parts)
        partials: Columns = {
            name: np.full(len(place), start, dtype) for name, (dtype, start) in aggregate.schema.items()
        }
        aggregate.merge(partials, np.arange(len(place)), aggregate.lift(whole))
        metrics = aggregate.finish(partials)
        carried = zip(*[metrics[name].tolist() for name in self.takes], strict=True)
        for ((source, symbol), slice_ms), values in zip(newest.items(), carried, strict=True):
            done_ms = finality.previous.finished_ms(source)
            for resolution, width_ms in self._windowing.resolutions.items():
                end_ms = slice_ms - slice_ms % width_ms + width_ms
                # A window that is still open is added when it is published.
                if end_ms <= done_ms:
                    self._add_window(shard, (symbol, source, resolution, end_ms - width_ms), values)
                    group = self._groups[shard, source, resolution]
                    group.series[symbol].cursor_ms = done_ms - done_ms % width_ms

    def see_folded(self, shard: int, keys: list[SliceKey], offsets: Ints) -> None:
        for (_, source, symbol, slice_ms), offset in zip(keys, offsets.tolist(), strict=True):
            self._note_newest(shard, source, symbol, slice_ms, offset)

    def _note_newest(self, shard: int, source: str, symbol: str, slice_ms: int, offset: int) -> None:
        known_ms, known = self._newest.get((shard, source, symbol), (NEVER_MS, 0))
        if slice_ms >= known_ms:
            # The slices of all partitions with this start are needed.
            offset = min(offset, known) if slice_ms == known_ms else offset
            self._newest[shard, source, symbol] = slice_ms, offset

    def needed_offset(self, shard: int, read: int) -> int:
        """Return the oldest offset from which every series can be continued, at most ``read``."""
        return min((offset for (of, _, _), (_, offset) in self._newest.items() if of == shard), default=read)

    def _add_window(self, shard: int, key: WindowKey, values: _Values) -> None:
        """Add a window with events to its series, or change its values; the windows after it are filled again."""
        symbol, source, resolution, start_ms = key
        group = self._groups.get((shard, source, resolution))
        if group is None:
            width_ms = self._windowing.resolutions[resolution]
            group = self._groups[shard, source, resolution] = FilledGroup(width_ms)
        end_ms = start_ms + group.width_ms
        series = group.series.get(symbol)
        if series is None:
            series = group.series[symbol] = FilledSeries(end_ms, [(end_ms, values)])
        else:
            at = bisect_left(series.real, end_ms, key=_end)
            known = series.real[at : at + 1]
            if known == [(end_ms, values)]:
                return
            series.real[at : at + (bool(known) and known[0][0] == end_ms)] = [(end_ms, values)]
            # The windows that were filled after it have the old values.
            series.cursor_ms = min(series.cursor_ms, end_ms)
        group.cursor_ms = min(group.cursor_ms, series.cursor_ms)

    def process(self, flush: Flush, times: Times) -> None:
        """Fill the final windows without events; the flush's results stay in time order."""
        self._start_shards()
        finals = flush.finals
        if finals.keys:
            carried = zip(*[finals.columns[name].tolist() for name in self.takes], strict=True)
            for key, shard, values in zip(finals.keys, finals.shards.tolist(), carried, strict=True):
                self._add_window(shard, key, values)
        gaps = self._all_gaps()
        flush.complete &= not self.lags
        if not gaps:
            return
        filled = self._filled(gaps)
        widths = self._windowing.resolutions
        ends = [start_ms + widths[resolution] for _, _, resolution, start_ms in filled.keys]
        of = zip(filled.shards.tolist(), filled.keys, strict=True)
        known = [times.published_ms(shard, source) for shard, (_, source, *_) in of]
        new = [i for i, (end_ms, known_ms) in enumerate(zip(ends, known, strict=True)) if end_ms > known_ms]
        columns = {name: column[new] for name, column in filled.columns.items()}
        results = Results(flush.results + self._writer.write([filled.keys[i] for i in new], columns))
        ended = zip(flush.ends_ms + [ends[i] for i in new], results, strict=True)
        in_order = sorted(ended, key=itemgetter(0))
        flush.ends_ms = [end_ms for end_ms, _ in in_order]
        symbols = Coded.of([symbol for _, (_, symbol, _, _) in in_order])
        records = [(key, value) for _, (_, _, key, value) in in_order]
        flush.results = [ResultBlock(self._windowing.output, symbols, lambda: records)]
        flush.finals = finals.and_(filled)

    def _all_gaps(self) -> list[_Gap]:
        """Move every series on to its final frontier; return the gaps that it passes."""
        self.lags = False
        room = FILLED_RECORDS
        gaps: list[_Gap] = []
        for (shard, source, resolution), group in self._groups.items():
            finality = self._shards.finality[shard]
            final_ms = finality.final_ms.get(source, NEVER_MS)
            final_ms -= final_ms % group.width_ms
            if shard not in self._shards.publishing or final_ms <= group.cursor_ms:
                continue
            fold_ms = min(finality.fold_ms.get(source, NEVER_MS), finality.fold_ms.get(ALL, NEVER_MS))
            for symbol, series in group.series.items():
                for start_ms, n, values in self._gaps(series, group.width_ms, final_ms, fold_ms, room):
                    gaps.append(_Gap(shard, symbol, source, resolution, start_ms, group.width_ms, n, values))
                    room -= n
            group.cursor_ms = min(series.cursor_ms for series in group.series.values())
            self.lags |= group.cursor_ms < final_ms
        return gaps

    def _gaps(
        self, series: FilledSeries, width_ms: int, final_ms: int, fold_ms: int, room: int
    ) -> list[tuple[int, int, _Values]]:
        """Move a series on to a time; return the start, length in windows, and values of each gap that it passes."""
        real, gaps = series.real, []
        at = bisect_right(real, series.cursor_ms, key=_end) - 1
        while series.cursor_ms < final_ms:
            next_ms = real[at + 1][0] - width_ms if at + 1 < len(real) else final_ms
            n = min((min(next_ms, final_ms) - series.cursor_ms) // width_ms, room)
            if n:
                gaps.append((series.cursor_ms, n, real[at][1]))
                room -= n
                series.cursor_ms += n * width_ms
            if series.cursor_ms < next_ms:
                break
            if at + 1 < len(real):
                at += 1
                series.cursor_ms = real[at][0]
        del real[: max(bisect_right(real, min(series.cursor_ms, fold_ms), key=_end) - 1, 0)]
        return gaps

    def _filled(self, gaps: list[_Gap]) -> Finals:
        keys = [
            (gap.symbol, gap.source, gap.resolution, gap.start_ms + i * gap.width_ms)
            for gap in gaps
            for i in range(gap.n)
        ]
        # A recipe may take partials, too, which are no fields of the result.
        partials = self._windowing.aggregate.schema.items()
        columns: Columns = {name: np.zeros(len(keys), dtype) for name, (dtype, _) in partials if dtype != SKETCH}
        columns |= {name: np.full(len(keys), _ZEROS.get(kind, 0.0)) for name, kind in self._types.items()}
        columns["final"][:] = True
        times = [gap.n for gap in gaps]
        for name, origin in self._windowing.fill.items():
            at = self.takes.index(origin)
            columns[name] = np.repeat(np.array([gap.values[at] for gap in gaps]), times)
        columns["width_ms"] = np.repeat(np.array([gap.width_ms for gap in gaps]), times)
        return Finals(keys, np.repeat(np.array([gap.shard for gap in gaps]), times), columns)

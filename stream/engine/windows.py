"""Merging slices into windows: pure, without Kafka. One instance serves one topic's slices, for all shards of a worker."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from schemas.frame import Frame
from schemas.topics import Topic
from stream.engine.aggregate import INT, Aggregate
from stream.engine.block import Bools, Ints
from stream.engine.checkpoint import Views
from stream.engine.finality import Finality
from stream.engine.lanes import UNSET
from stream.engine.names import ALL, Names
from stream.engine.slices import Slicing
from stream.engine.table import Columns, Table

BOOL: np.dtype[Any] = np.dtype(np.bool_)
_NONE = -1


@dataclass(frozen=True)
class Windowing:
    """What a window agent makes of slices; an agent's file makes one.

    Attributes
    ----------
    slicing
        Whose slices it takes.
    aggregate
        What a window holds; it merges what its ``lift`` makes of whole slices, in time order.
    resolutions
        Windows by name, each a width in ms that the slice's width divides.
    sink
        Where results go.
    result
        Their Struct: ``symbol``, ``source``, ``resolution``, ``start_ms``, ``final``, ``revision``, ``incomplete``, and
        metrics that ``finish`` makes.
    revision
        The column that counts a window's events.
    summed
        Metrics that, over all sources, are the sum of each source's own.
    """

    slicing: Slicing
    aggregate: Aggregate
    resolutions: Mapping[str, int]
    sink: Topic
    result: type[msgspec.Struct]
    revision: str = "count"
    summed: tuple[str, ...] = ()


class WindowKey(NamedTuple):
    symbol: str
    source: str
    resolution: str
    start_ms: int


#: Partition, source, symbol and start of a slice.
_SliceKey: TypeAlias = tuple[int, str, str, int]
#: Shard, offset, frame, and the frontiers, ms, that its sources were known to have before it.
_Arrival: TypeAlias = tuple[int, int, Frame, list[int]]


class Windows:
    """Open windows, as folded prefixes and the slices that are not folded yet.

    Parameters
    ----------
    windowing
        What to make.
    slice_ms, horizon_ms, epoch
        See `Settings`.
    """

    def __init__(self, windowing: Windowing, *, slice_ms: int, horizon_ms: int, epoch: str) -> None:
        self.windowing = windowing
        self.topic = windowing.slicing.topic.name
        #: Slices that came too late to correct anything.
        self.expired = 0
        self._slice_ms = slice_ms
        self._horizon_ms = horizon_ms
        self._epoch = epoch
        self._slices = windowing.slicing.aggregate
        self._widths = list(windowing.resolutions.items())
        # Places that a slice has a share in: each resolution, of its source and of all.
        places = np.dtype((np.int64, (2 * len(self._widths),)))
        self._pending: Table[_SliceKey] = Table(
            self._slices.schema
            | dict.fromkeys(("offset", "slice_ms", "partition", "source", "shard"), (INT, 0))
            | {"stamp": (INT, _NONE), "places": (places, _NONE)}
        )
        self._windows: Table[WindowKey] = Table(
            windowing.aggregate.schema
            | dict.fromkeys(("end_ms", "width_ms", "shard", "source"), (INT, 0))
            | {"offset": (INT, np.iinfo(np.int64).max), "dirty": (BOOL, False), "final": (BOOL, False)}
        )
        self._names = Names()
        self._names[ALL]
        self._shards: dict[int, Finality] = {}
        self._settled: set[int] = set()
        self._incomplete: dict[int, dict[int, tuple[int, int]]] = {}
        self._arrived: list[_Arrival] = []

    def __len__(self) -> int:
        """How many windows are open."""
        return len(self._windows)

    def own(self, shard: int, saved: Views) -> None:
        """Begin with a shard, from its checkpoint."""
        self._shards[shard] = Finality(self._horizon_ms, saved)
        self._incomplete[shard] = {}

    def settle(self, shard: int) -> None:
        """Hear that a shard has been read to where the last owner's checkpoint was made; only now does it publish."""
        self._settled.add(shard)

    def apply(self, shard: int, offset: int, frame: Frame) -> None:
        """Take in a frame of a shard; its upserts are merged at the next flush."""
        if frame.topic != self.topic or frame.epoch != self._epoch:
            return
        finality = self._shards[shard]
        if frame.columns["slice_ms"]:
            passed_ms = [finality.frontier_ms(frame.partition, source) for source in frame.sources]
            self._arrived.append((shard, offset, frame, passed_ms))
        if frame.incomplete:
            self._incomplete[shard][frame.partition] = frame.incomplete
        # A frame's frontiers cover its own upserts, so they count from the next frame on.
        finality.hear(frame)

    def _absorb(self) -> None:
        """Merge the upserts that have arrived: of each slice the one with the highest stamp holds."""
        arrived, self._arrived = self._arrived, []
        if not arrived:
            return
        columns, keys, origin = self._unpacked(arrived)
        shard, offset, stamp = (
            np.array(column)[origin] for column in zip(*[(s, o, f.upto) for s, o, f, _ in arrived], strict=True)
        )
        rows, kept = self._rows(keys, shard.tolist())
        self.expired += len(keys) - len(kept)
        held = self._pending.columns
        newer = stamp[kept] > held["stamp"][rows]
        rows, kept = rows[newer], kept[newer]
        # Where a slice comes twice, the last assignment stays.
        order = np.argsort(stamp[kept], kind="stable")
        rows, kept = rows[order], kept[order]
        for name in (*self._slices.schema, "slice_ms", "partition", "source"):
            held[name][rows] = columns[name][kept]
        held["shard"][rows] = shard[kept]
        held["stamp"][rows] = stamp[kept]
        # An upsert is cumulative: a new owner needs no older one.
        held["offset"][rows] = offset[kept]
        touched = held["places"][rows].ravel()
        self._windows.columns["dirty"][touched[touched != _NONE]] = True

    def _unpacked(self, arrived: list[_Arrival]) -> tuple[Columns, list[_SliceKey], Ints]:
        """Return the upserts of slices that were open: their columns, their keys, and which frame each is from."""
        frames = [frame for _, _, frame, _ in arrived]

        def column(name: str, dtype: Any) -> Any:
            return np.frombuffer(b"".join([frame.columns[name] for frame in frames]), dtype)

        slice_ms = column("slice_ms", "<i8")
        origin = np.repeat(np.arange(len(frames)), [len(frame.columns["slice_ms"]) // 8 for frame in frames])
        sources, symbols = self._names, [symbol for frame in frames for symbol in frame.symbols]
        # A frame's own codes, made those of all frames.
        source_base = np.cumsum([0] + [len(frame.sources) for frame in frames[:-1]])
        symbol_base = np.cumsum([0] + [len(frame.symbols) for frame in frames[:-1]])
        source_at = column("source", "<u4") + source_base[origin]
        symbol_at = column("symbol", "<u4") + symbol_base[origin]
        passed_ms = np.array([passed for *_, list_ in arrived for passed in list_])
        open_ = np.flatnonzero(slice_ms + self._slice_ms > passed_ms[source_at])
        names = [source for frame in frames for source in frame.sources]
        columns: Columns = {
            name: column(name, dtype.newbyteorder("<"))[open_] for name, (dtype, _) in self._slices.schema.items()
        }
        columns["slice_ms"] = slice_ms[open_]
        columns["source"] = sources.codes(names)[source_at[open_]]
        columns["partition"] = np.array([frame.partition for frame in frames])[origin[open_]]
        keys = [
            (partition, names[source], symbols[symbol], start_ms)
            for partition, source, symbol, start_ms in zip(
                columns["partition"].tolist(),
                source_at[open_].tolist(),
                symbol_at[open_].tolist(),
                columns["slice_ms"].tolist(),
                strict=True,
            )
        ]
        return columns, keys, origin[open_]

    def _rows(self, keys: list[_SliceKey], shards: list[int]) -> tuple[Ints, Ints]:
        """Return the rows of slices, and which of the keys have one: not those whose windows are all done."""
        fresh: dict[_SliceKey, list[WindowKey | None]] = {}
        shard_of: list[int] = []
        for key, shard in zip(keys, shards, strict=True):
            if key not in self._pending and key not in fresh:
                fresh[key] = self._shares(shard, *key[1:])
                shard_of += [shard] * sum(share is not None for share in fresh[key])
        shares = [share for shares in fresh.values() for share in shares]
        windows = self._window_rows([share for share in shares if share is not None], shard_of)
        flat = np.full(len(shares), _NONE)
        flat[[share is not None for share in shares]] = windows
        places = flat.reshape(len(fresh), 2 * len(self._widths))
        some = (places != _NONE).any(axis=1)
        taken = [key for key, wanted in zip(fresh, some.tolist(), strict=True) if wanted]
        rows = self._pending.rows(taken)
        self._pending.columns["places"][rows] = places[some]
        kept = [i for i, key in enumerate(keys) if key in self._pending]
        return self._pending.rows([keys[i] for i in kept]), np.array(kept, np.int64)

    def _shares(self, shard: int, source: str, symbol: str, slice_ms: int) -> list[WindowKey | None]:
        """Return the windows that a slice belongs to; None for those that are done, or past correcting."""
        finality = self._shards[shard]
        end_ms = slice_ms + self._slice_ms
        shares: list[WindowKey | None] = []
        for name in (source, ALL):
            # A source's windows stay until those of all are done: they share in some of their metrics.
            done_ms = min(finality.done_ms(ALL), finality.done_ms(name))
            open_ = end_ms > finality.fold_ms.get(name, UNSET)
            for resolution, width_ms in self._widths:
                start_ms = slice_ms - slice_ms % width_ms
                wanted = open_ and start_ms + width_ms > done_ms
                shares.append(WindowKey(symbol, name, resolution, start_ms) if wanted else None)
        return shares

    def _window_rows(self, keys: list[WindowKey], shards: list[int]) -> Ints:
        rows = self._windows.rows(keys)
        held = self._windows.columns
        new = np.flatnonzero(held["end_ms"][rows] == 0)
        if len(new):
            made = [keys[i] for i in new.tolist()]
            width_ms = np.array([self.windowing.resolutions[key.resolution] for key in made])
            at = rows[new]
            held["width_ms"][at] = width_ms
            held["end_ms"][at] = np.array([key.start_ms for key in made]) + width_ms
            held["source"][at] = [self._names[key.source] for key in made]
            held["shard"][at] = np.array(shards)[new]
        return rows

    def flush(self) -> list[tuple[str, bytes, bytes]]:
        """Fold what is complete, and return (symbol, key, value) of each window that has changed or become final."""
        self._absorb()
        for shard, finality in self._shards.items():
            if finality.advance(settled=shard in self._settled):
                self._advance(shard, finality)
        results = self._publish()
        self._release()
        return results

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
            pairs = self._pairs(rows, held["places"][rows][:, columns])
            self._accumulate(self._windows.columns, pairs, pairs[1])
            held["places"][rows, columns] = _NONE
        self._pending.release(mine[(held["places"][mine] == _NONE).all(axis=1)])
        windows = self._windows.columns
        rows = self._windows.live()
        rows = rows[(windows["shard"][rows] == shard) & ~windows["final"][rows]]
        rows = rows[windows["end_ms"][rows] <= self._by_name(finality.final_ms)[windows["source"][rows]]]
        windows["final"][rows] = windows["dirty"][rows] = True

    def _by_name(self, times_ms: dict[str, int]) -> Ints:
        return np.array([times_ms.get(name, UNSET) for name in self._names.names])

    def _pairs(self, rows: Ints, places: Ints) -> tuple[Ints, Ints]:
        """Return (slice's row, window's row) of each share, by window and then in the canonical order."""
        at, _ = np.nonzero(places != _NONE)
        windows = places[places != _NONE]
        rows = rows[at]
        held = self._pending.columns
        rank = np.argsort(np.argsort(np.array(self._names.names)))
        order = np.lexsort((rank[held["source"][rows]], held["partition"][rows], held["slice_ms"][rows], windows))
        return rows[order], windows[order]

    def _accumulate(self, into: Columns, pairs: tuple[Ints, Ints], targets: Ints) -> None:
        """Merge slices into windows: first the shares of one slice of time, then these in time order.

        Parameters
        ----------
        into
            Columns of windows.
        pairs
            See `_pairs`.
        targets
            The row in ``into`` of each pair, shape (n,).
        """
        rows, windows = pairs
        if not len(rows):
            return
        held = self._pending.columns
        slice_ms = held["slice_ms"][rows]
        first = np.concatenate([[True], (windows[1:] != windows[:-1]) | (slice_ms[1:] != slice_ms[:-1])])
        group = np.cumsum(first) - 1
        whole: Columns = {
            name: np.full(int(group[-1]) + 1, start, dtype) for name, (dtype, start) in self._slices.schema.items()
        }
        self._slices.merge(whole, group, {name: held[name][rows] for name in self._slices.schema})
        aggregate = self.windowing.aggregate
        aggregate.merge(into, targets[first], aggregate.lift(whole))
        if "offset" in into:
            np.minimum.at(into["offset"], targets, held["offset"][rows])

    def _publish(self) -> list[tuple[str, bytes, bytes]]:
        held = self._windows.columns
        settled = np.zeros(max(self._shards, default=0) + 1, np.bool_)
        settled[list(self._settled)] = True
        dirty = np.flatnonzero(held["dirty"])
        dirty = dirty[settled[held["shard"][dirty]]]
        if not len(dirty):
            return []
        held["dirty"][dirty] = False
        rows, shares = self._with_sources(dirty)
        partials = self._current(rows)
        metrics = self.windowing.aggregate.finish(partials)
        for name in self.windowing.summed:
            total = np.zeros(len(rows), metrics[name].dtype)
            np.add.at(total, shares[0], metrics[name][shares[1]])
            metrics[name] = np.where(held["source"][rows] == 0, total, metrics[name])
        n = len(dirty)
        return self._results(
            dirty, partials[self.windowing.revision][:n], {name: column[:n] for name, column in metrics.items()}
        )

    def _with_sources(self, dirty: Ints) -> tuple[Ints, tuple[Ints, Ints]]:
        """Return the windows to compute (the dirty ones first), and which windows of all share in which of a source."""
        rows = dirty.tolist()
        place = {row: i for i, row in enumerate(rows)}
        all_, one = [], []
        if self.windowing.summed:
            sources = self._names.names[1:]
            for i, key in enumerate(self._windows.keys(dirty)):
                if key.source != ALL:
                    continue
                for source in sources:
                    row = self._windows.find(WindowKey(key.symbol, source, key.resolution, key.start_ms))
                    if row is not None:
                        if row not in place:
                            place[row] = len(rows)
                            rows.append(row)
                        all_.append(i)
                        one.append(place[row])
        return np.array(rows, np.int64), (np.array(all_, np.int64), np.array(one, np.int64))

    def _current(self, rows: Ints) -> Columns:
        """Return the partials of windows as they stand: what is folded, and the slices that aren't yet."""
        aggregate = self.windowing.aggregate
        partials = {name: self._windows.columns[name][rows] for name in aggregate.schema}
        target = np.full(len(self._windows.columns["end_ms"]), _NONE)
        target[rows] = np.arange(len(rows))
        live = self._pending.live()
        places = self._pending.columns["places"][live]
        places = np.where((places != _NONE) & (target[places] != _NONE), places, _NONE)
        pairs = self._pairs(live, places)
        self._accumulate(partials, pairs, target[pairs[1]])
        return partials

    def _results(self, rows: Ints, revision: Ints, metrics: Columns) -> list[tuple[str, bytes, bytes]]:
        held = self._windows.columns
        keys = self._windows.keys(rows)
        identity = {
            "symbol": [key.symbol for key in keys],
            "source": [key.source for key in keys],
            "resolution": [key.resolution for key in keys],
            "start_ms": [key.start_ms for key in keys],
            "final": held["final"][rows].tolist(),
            "revision": revision.tolist(),
            "incomplete": self._is_incomplete(rows).tolist(),
        }
        result = self.windowing.result
        values = [identity[name] if name in identity else metrics[name].tolist() for name in result.__struct_fields__]
        encode = msgspec.json.Encoder().encode
        return [
            (key.symbol, f"{key.symbol}|{key.source}|{key.resolution}|{key.start_ms}".encode(), encode(result(*row)))
            for key, row in zip(keys, zip(*values, strict=True), strict=True)
        ]

    def _is_incomplete(self, rows: Ints) -> Bools:
        held = self._windows.columns
        marked = np.zeros(len(rows), np.bool_)
        for shard, marks in self._incomplete.items():
            for since_ms, until_ms in marks.values():
                end_ms = held["end_ms"][rows]
                overlaps = (end_ms > since_ms) & (end_ms - held["width_ms"][rows] < until_ms)
                marked |= overlaps & (held["shard"][rows] == shard)
        return marked

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

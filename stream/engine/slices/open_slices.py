"""The open slices of one partition: a row each, with the aggregate's columns and what a commit needs."""

from typing import NamedTuple

import numpy as np

from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.table import Columns, Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.slices.decode import Decoded
from tickertape.stream.engine.slices.repeats import Repeats

_FAR = np.iinfo(np.int64).max


class SliceKey(NamedTuple):
    source: str
    symbol: str
    slice_ms: int


class OpenSlices:
    """Slices that may still change, or that no frame has carried yet.

    Parameters
    ----------
    slicing
        The recipe of the slices.
    slice_ms
        A slice's width, ms.
    sources, symbols
        The names behind the codes of decoded records; both grow as records are decoded.
    """

    def __init__(self, slicing: Slicing, slice_ms: int, sources: Names, symbols: Names) -> None:
        own = {
            "first_offset": (INT, _FAR),
            "end_ms": (INT, 0),
            "highest_id": (INT, -1),
            "serial": (INT, 0),
            "dirty": (np.dtype(np.bool_), False),
        }
        self._aggregate = slicing.aggregate
        self._slice_ms = slice_ms
        self._sources, self._symbols = sources, symbols
        self._table: Table[SliceKey] = Table(slicing.aggregate.schema | own)
        self._serial = 0
        self._repeats = Repeats()

    def __len__(self) -> int:
        return len(self._table)

    @property
    def columns(self) -> Columns:
        return self._table.columns

    @property
    def is_dirty(self) -> bool:
        """Whether a slice has changed since it was last published."""
        return bool(self._table.columns["dirty"].any())

    def needed_offset(self, read: int) -> int:
        """Return the oldest offset that an open slice was made from, at most ``read``."""
        live = self._table.live()
        return min(int(self._table.columns["first_offset"][live].min()), read) if len(live) else read

    def merge(self, decoded: Decoded, end_ms: Ints, wanted: Bools, offsets: Ints) -> int:
        """Fold the wanted records into their slices, except repeats; return how many were folded.

        Parameters
        ----------
        decoded
            n records.
        end_ms
            The end of each record's slice, ms, shape (n,).
        wanted
            Which records to fold, shape (n,).
        offsets
            The offsets of the block that the records are from.
        """
        if not wanted.any():
            return 0
        if not wanted.all():
            decoded, end_ms = decoded.where(wanted), end_ms[wanted]
        if (named := decoded.named) is not None:
            decoded, end_ms = decoded.by_symbol(), np.repeat(end_ms, named)
        local, rows = self._rows(decoded.source, decoded.symbol, end_ms)
        row = rows[local]
        columns = self._table.columns
        repeated = self._repeats.find(columns, rows, local, decoded.id)
        if repeated is not None:
            decoded, row = decoded.where(~repeated), row[~repeated]
        partials = self._aggregate.lift({"time_ms": decoded.time_ms, "id": decoded.id} | decoded.columns)
        self._aggregate.merge(columns, row, partials)
        np.minimum.at(columns["first_offset"], row, offsets[decoded.at])
        columns["dirty"][rows] = True
        # A record that names several symbols is there once for each of them, in adjacent places.
        return len(decoded) if named is None else int(np.count_nonzero(np.diff(decoded.at, prepend=-1)))

    def _rows(self, source: Ints, symbol: Ints, end_ms: Ints) -> tuple[Ints, Ints]:
        """Return each record's index in the block's slices, and the table's row of each of these slices."""
        first = int(end_ms.min())
        series = source * len(self._symbols.names) + symbol
        width = len(self._sources.names) * len(self._symbols.names)
        code = (end_ms - first) // self._slice_ms * width + series
        span = int(code.max()) + 1
        if span <= 8 * len(code) + 4096:
            # Where the codes are dense, a look-up table is several times faster than a sort.
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
        rows = self._table.rows(keys)
        columns = self._table.columns
        fresh = rows[columns["end_ms"][rows] == 0]
        if len(fresh):
            columns["end_ms"][rows] = ends
            columns["serial"][fresh] = np.arange(self._serial, self._serial + len(fresh))
            self._serial += len(fresh)
        return local, rows

    def pop_dirty(self) -> tuple[Ints, list[SliceKey]]:
        """Return the rows and keys of the slices that have changed since the last call; shape (k,) both."""
        rows = np.flatnonzero(self._table.columns["dirty"])
        self._table.columns["dirty"][rows] = False
        return rows, self._table.keys(rows)

    def release(self, lanes: Lanes) -> None:
        """Forget the slices whose end their lane's frontier has reached; all of them must have been published."""
        if not len(self._table):
            return
        live = self._table.live()
        newest_ms = max(lanes.evicted_ms, *lanes.frontier_ms.values())
        maybe = live[self._table.columns["end_ms"][live] <= newest_ms]
        closed = [
            row
            for row, key in zip(maybe.tolist(), self._table.keys(maybe), strict=True)
            if key.slice_ms + self._slice_ms <= lanes.closed_ms(key.source)
        ]
        if closed:
            self._table.release(np.array(closed, np.int64))
            self._repeats.forget(self._table.columns["serial"][self._table.live()])

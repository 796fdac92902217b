"""Finds or adds the rows of slices that wait to be folded, and of the windows that they belong to."""

from collections.abc import Callable, Mapping

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.tables import source_totals
from tickertape.stream.engine.tables.tables import Tables, keys_of_slices, keys_of_windows

_OF_SLICE = ("slice_ms", "partition", "source", "symbol", "shard")


class Placing:
    """Gives slices their rows, and opens the windows that they belong to.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slice_ms
        A slice's width, ms.
    tables
        The tables of slices and of windows; changed.
    shards
        The frontiers of each shard.
    """

    def __init__(self, windowing: Windowing, slice_ms: int, tables: Tables, shards: Mapping[int, Finality]) -> None:
        self._widths_ms = np.array(list(windowing.resolutions.values()), np.int64)
        self._slice_ms = slice_ms
        self._tables = tables
        self._shards = shards

    def rows(self, upserts: Columns) -> tuple[Ints, Ints]:
        """Return the rows of the slices of upserts, and their places. A slice without open windows gets no row."""
        slices = self._tables.slices
        first, second = keys_of_slices(upserts)
        rows = slices.find(first, second)
        fresh = np.flatnonzero(rows == NO_ROW)
        if len(fresh):
            places = self._places({name: upserts[name][fresh] for name in _OF_SLICE})
            source_totals.tie(self._tables.windows.columns, places)
            has_window = (places != NO_ROW).any(axis=1)
            opened = fresh[has_window]
            rows[opened], _ = slices.rows(first[opened], second[opened])
            slices.columns["places"][rows[opened]] = places[has_window]
        kept = np.flatnonzero(rows != NO_ROW)
        return rows[kept], kept

    def _places(self, slices: Columns) -> Ints:
        """Return the rows of the windows that n slices belong to, opened if they are new; shape (n, 2 k).

        A slice belongs to k windows of its source and to k of all sources. There is no row for a window that is
        finished or can't be corrected any more.
        """
        slice_ms = slices["slice_ms"]
        start_ms = slice_ms[:, None] - slice_ms[:, None] % self._widths_ms
        n, k = start_ms.shape
        folded_ms = self._times(slices, lambda finality, name: finality.fold_ms.get(name, NEVER_MS))
        done_ms = self._times(slices, lambda finality, name: finality.previous.finished_ms(name))
        may_change = slice_ms + self._slice_ms > folded_ms
        unfinished = start_ms + self._widths_ms > done_ms[:, :, None]
        wanted = np.concatenate(list(may_change[:, :, None] & unfinished), axis=1)
        columns = {
            "symbol": np.repeat(slices["symbol"], 2 * k).reshape(n, 2 * k),
            "source": np.stack([slices["source"], np.zeros(n, np.int64)], axis=1).repeat(k, axis=1),
            "shard": np.repeat(slices["shard"], 2 * k).reshape(n, 2 * k),
            "resolution": np.tile(np.arange(k), (n, 2)),
            "width_ms": np.tile(self._widths_ms, (n, 2)),
            "end_ms": np.tile(start_ms + self._widths_ms, (1, 2)),
        }
        places = np.full((n, 2 * k), NO_ROW)
        places[wanted] = self._window_rows({name: column[wanted] for name, column in columns.items()})
        return places

    def _times(self, slices: Columns, time_ms: Callable[[Finality, str], int]) -> Ints:
        """Return a time of each slice's source, and of all sources, in its shard, ms; shape (2, n)."""
        names = self._tables.names.names
        found = np.empty((2, len(slices["shard"])), np.int64)
        lanes, of = np.unique(slices["shard"] << 32 | slices["source"], return_inverse=True)
        for row, is_all in enumerate((False, True)):
            times_ms = [
                time_ms(self._shards[lane >> 32], ALL if is_all else names[lane & 0xFFFFFFFF])
                for lane in lanes.tolist()
            ]
            found[row] = np.array(times_ms, np.int64)[of]
        return found

    def _window_rows(self, windows: Columns) -> Ints:
        table = self._tables.windows
        rows, added = table.rows(*keys_of_windows(windows))
        if len(added):
            stored, new = table.columns, rows[added]
            for name, column in windows.items():
                stored[name][new] = column[added]
            final_ms = self._times(
                {name: windows[name][added] for name in ("shard", "source")},
                lambda finality, name: finality.final_ms.get(name, NEVER_MS),
            )[0]
            stored["final"][new] = stored["end_ms"][new] <= final_ms
        return rows

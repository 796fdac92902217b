"""Finds or adds the rows of slices that wait to be folded, and of the windows that they belong to."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.tables import source_totals
from tickertape.stream.engine.tables.joint import is_joint, split
from tickertape.stream.engine.tables.tables import Tables, keys_of_slices, keys_of_windows

#: Slices, and which of the windows around each: indices of slices and of resolutions, shape (m,) both.
_Pairs: TypeAlias = tuple[Ints, Ints]


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
    fold_ready
        Folds the slices of a shard that the frontiers have passed; called when windows are split.
    """

    #: Whether windows may be joint.
    _joins = True

    def __init__(
        self,
        windowing: Windowing,
        slice_ms: int,
        tables: Tables,
        shards: Mapping[int, Finality],
        fold_ready: Callable[[int], object],
    ) -> None:
        self._widths_ms = np.array(list(windowing.resolutions.values()), np.int64)
        self._longest = int(self._widths_ms.argmax())
        self._slice_ms = slice_ms
        self._tables = tables
        self._shards = shards
        self._fold_ready = fold_ready

    def rows(self, upserts: Columns) -> tuple[Ints, Ints]:
        """Return the rows of the slices of upserts, and their places. A slice without open windows gets no row."""
        slices = self._tables.slices
        first, second = keys_of_slices(upserts)
        rows = slices.find(first, second)
        folded_ms = self._times(upserts, lambda finality, name: finality.fold_ms.get(name, NEVER_MS))
        may_change = upserts["slice_ms"] + self._slice_ms > folded_ms
        self._split_known(rows, may_change)
        fresh = np.flatnonzero(rows == NO_ROW)
        if len(fresh):
            columns = {name: upserts[name][fresh] for name in ("slice_ms", "source", "symbol", "shard")}
            places = self._places(columns, may_change[:, fresh])
            source_totals.tie(self._tables.windows.columns, places)
            has_window = (places != NO_ROW).any(axis=1)
            opened = fresh[has_window]
            rows[opened], _ = slices.rows(first[opened], second[opened])
            slices.columns["places"][rows[opened]] = places[has_window]
        kept = np.flatnonzero(rows != NO_ROW)
        return rows[kept], kept

    def _split_known(self, rows: Ints, may_change: Bools) -> None:
        """Split the joint windows of slices that have rows already, and may change in only one of both windows."""
        apart = rows[(rows != NO_ROW) & (may_change[0] != may_change[1])]
        if len(apart):
            places = self._tables.slices.columns["places"][apart, len(self._widths_ms) :]
            self._split(places[is_joint(self._tables.windows.columns, places)])

    def _split(self, rows: Ints) -> None:
        rows = np.unique(rows)
        if len(rows):
            split(self._tables, rows)
            for shard in np.unique(self._tables.windows.columns["shard"][rows]).tolist():
                self._fold_ready(shard)

    def _places(self, slices: Columns, may_change: Bools) -> Ints:
        """Return the rows of the windows that n slices belong to, opened if they are new; shape (n, 2 k).

        A slice belongs to k windows of its source and to k of all sources. There is no row for a window that is
        finished or can't be corrected any more. See `tables.joint` for windows that have one row for both.
        """
        slice_ms = slices["slice_ms"]
        end_ms = slice_ms[:, None] - slice_ms[:, None] % self._widths_ms + self._widths_ms
        done_ms = self._times(slices, lambda finality, name: finality.previous.finished_ms(name))
        of_source, of_all = may_change[:, :, None] & (end_ms > done_ms[:, :, None])
        whole = self._rows_of_all(slices, end_ms, of_source, of_all)
        # Windows that are joint now are also the source's.
        own = _pairs(of_source & ~is_joint(self._tables.windows.columns, whole))
        shares = np.full(whole.shape, NO_ROW)
        shares[own], _ = self._window_rows(self._windows(slices, end_ms, own))
        return np.concatenate([shares, whole], axis=1)

    def _rows_of_all(self, slices: Columns, end_ms: Ints, of_source: Bools, of_all: Bools) -> Ints:
        """Return the rows of windows of all sources, shape (n, k); those that a slice would make unequal are split.

        Parameters
        ----------
        slices, end_ms
            The slices, and the ends of the k windows around each, ms, shape (n, k).
        of_source, of_all
            Which of these windows of its source, and of all sources, a slice belongs to, shape (n, k).
        """
        windows, whole = self._tables.windows, np.full(end_ms.shape, NO_ROW)
        pairs = _pairs(of_all)
        whole[pairs], added = self._window_rows(self._windows(slices, end_ms, pairs, of_all=True))
        if self._joins and len(added):
            self._join(slices, end_ms, of_source, whole, (pairs[0][added], pairs[1][added]))
        found, only_source = whole, _pairs(of_source & ~of_all)
        if len(only_source[0]):
            found = whole.copy()
            found[only_source] = windows.find(*keys_of_windows(self._windows(slices, end_ms, only_source, of_all=True)))
        others = windows.columns["only"][found] != slices["source"][:, None]
        enters_one = np.where(of_all, others | ~of_source, ~others)
        self._split(found[is_joint(windows.columns, found) & enters_one])
        return whole

    def _join(self, slices: Columns, end_ms: Ints, of_source: Bools, whole: Ints, opened: _Pairs) -> None:
        """Make new windows of all sources joint with those of the sources of the slices that have opened them.

        If the longest window around such a slice isn't joint, the shorter ones aren't either: there the symbol has had
        several sources.

        Parameters
        ----------
        slices, end_ms, of_source, whole
            See `_rows_of_all`.
        opened
            The new windows.
        """
        at, _ = opened
        stored, rows = self._tables.windows.columns, whole[opened]
        own = self._windows(slices, end_ms, opened)
        has_own = self._tables.windows.find(*keys_of_windows(own)) != NO_ROW
        stored["only"][rows] = np.where(of_source[opened] & ~has_own, own["source"], 0)
        longest = whole[at, self._longest]
        stored["only"][rows[(longest != NO_ROW) & (stored["only"][longest] != own["source"])]] = 0
        stored["only_final"][rows] = (stored["only"][rows] != 0) & self._are_final(own)

    def _windows(self, slices: Columns, end_ms: Ints, pairs: _Pairs, *, of_all: bool = False) -> Columns:
        """Return the columns of windows of all sources, or of the slices' own ones."""
        at, resolution = pairs
        return {
            "symbol": slices["symbol"][at],
            "source": np.zeros(len(at), np.int64) if of_all else slices["source"][at],
            "shard": slices["shard"][at],
            "resolution": resolution,
            "width_ms": self._widths_ms[resolution],
            "end_ms": end_ms[pairs],
        }

    def _window_rows(self, windows: Columns) -> tuple[Ints, Ints]:
        """Return the rows of windows, and the places of the new ones among them."""
        table = self._tables.windows
        rows, added = table.rows(*keys_of_windows(windows))
        if len(added):
            new, stored = {name: column[added] for name, column in windows.items()}, table.columns
            for name, column in new.items():
                stored[name][rows[added]] = column
            stored["final"][rows[added]] = self._are_final(new)
        return rows, added

    def _are_final(self, windows: Columns) -> Bools:
        final_ms, _ = self._times(windows, lambda finality, name: finality.final_ms.get(name, NEVER_MS))
        final: Bools = windows["end_ms"] <= final_ms
        return final

    def _times(self, columns: Columns, time_ms: Callable[[Finality, str], int]) -> Ints:
        """Return a time of each row's source, and of all sources, in its shard, ms; shape (2, n)."""
        names = self._tables.names.names
        lanes, of = np.unique(columns["shard"] << 32 | columns["source"], return_inverse=True)
        times_ms = [
            [time_ms(self._shards[lane >> 32], name) for name in (names[lane & 0xFFFFFFFF], ALL)]
            for lane in lanes.tolist()
        ]
        return np.array(times_ms, np.int64).reshape(-1, 2).T[:, of]


def _pairs(chosen: Bools) -> _Pairs:
    at, resolution = np.nonzero(chosen)
    return at, resolution

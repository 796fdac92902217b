"""Finds or adds the rows of slices that wait to be folded, and of the windows that they belong to."""

from collections.abc import Mapping

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL, Names
from tickertape.stream.engine.core.results import WindowKey
from tickertape.stream.engine.core.table import NO_ROW, Table
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.frames.upserts import SliceKey
from tickertape.stream.engine.windows import source_totals


class Placing:
    """Gives slices their rows, and opens the windows that they belong to.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slice_ms
        A slice's width, ms.
    pending, windows
        The tables of slices and of windows; changed.
    names
        The sources, by code.
    shards
        The frontiers of each shard.
    """

    def __init__(
        self,
        windowing: Windowing,
        slice_ms: int,
        pending: Table[SliceKey],
        windows: Table[WindowKey],
        names: Names,
        shards: Mapping[int, Finality],
    ) -> None:
        self._resolutions = windowing.resolutions
        self._slice_ms = slice_ms
        self._pending = pending
        self._windows = windows
        self._names = names
        self._shards = shards

    def rows(self, keys: list[SliceKey], shards: list[int]) -> tuple[Ints, Ints]:
        """Return the rows of slices, and the indices of their keys. A slice without open windows gets no row."""
        fresh: dict[SliceKey, list[WindowKey | None]] = {}
        spans: dict[int, list[tuple[str, int, int]]] = {}
        shard_of: list[int] = []
        for key, shard in zip(keys, shards, strict=True):
            if key not in self._pending and key not in fresh:
                _, source, symbol, slice_ms = key
                if slice_ms not in spans:
                    spans[slice_ms] = self._spans(slice_ms)
                fresh[key] = self._shares(shard, source, symbol, slice_ms, spans[slice_ms])
                shard_of += [shard] * sum(share is not None for share in fresh[key])
        if fresh:
            shares = [share for shares in fresh.values() for share in shares]
            flat = np.full(len(shares), NO_ROW)
            windows = self._window_rows([share for share in shares if share is not None], shard_of)
            flat[[share is not None for share in shares]] = windows
            places = flat.reshape(len(fresh), 2 * len(self._resolutions))
            source_totals.tie(self._windows.columns, places)
            has_window = (places != NO_ROW).any(axis=1)
            rows = self._pending.rows([key for key, has in zip(fresh, has_window.tolist(), strict=True) if has])
            self._pending.columns["places"][rows] = places[has_window]
        kept = [i for i, key in enumerate(keys) if key in self._pending]
        return self._pending.rows([keys[i] for i in kept]), np.array(kept, np.int64)

    def _spans(self, slice_ms: int) -> list[tuple[str, int, int]]:
        """Return the resolution, start and end of each window that contains a slice."""
        return [
            (name, start_ms := slice_ms - slice_ms % width_ms, start_ms + width_ms)
            for name, width_ms in self._resolutions.items()
        ]

    def _shares(
        self, shard: int, source: str, symbol: str, slice_ms: int, spans: list[tuple[str, int, int]]
    ) -> list[WindowKey | None]:
        """Return the windows that a slice belongs to; None for one that is finished or can't be corrected any more."""
        finality = self._shards[shard]
        shares: list[WindowKey | None] = []
        for name in (source, ALL):
            done_ms = finality.previous.finished_ms(name)
            open_ = slice_ms + self._slice_ms > finality.fold_ms.get(name, NEVER_MS)
            shares += [
                (symbol, name, resolution, start_ms) if open_ and end_ms > done_ms else None
                for resolution, start_ms, end_ms in spans
            ]
        return shares

    def _window_rows(self, keys: list[WindowKey], shards: list[int]) -> Ints:
        rows = self._windows.rows(keys)
        stored = self._windows.columns
        new = np.flatnonzero(stored["end_ms"][rows] == 0)
        if len(new):
            new_keys = [keys[i] for i in new.tolist()]
            width_ms = np.array([self._resolutions[resolution] for _, _, resolution, _ in new_keys])
            at = rows[new]
            stored["width_ms"][at] = width_ms
            stored["end_ms"][at] = np.array([start_ms for *_, start_ms in new_keys]) + width_ms
            stored["source"][at] = [self._names[source] for _, source, _, _ in new_keys]
            stored["shard"][at] = np.array(shards)[new]
            final_ms = [
                self._shards[shards[i]].final_ms.get(source, NEVER_MS)
                for i, (_, source, _, _) in zip(new.tolist(), new_keys, strict=True)
            ]
            stored["final"][at] = stored["end_ms"][at] <= final_ms
        return rows

"""Stores upserts, folds slices that can't change any more into windows, and forgets finished windows."""

import numpy as np

from tickertape.schemas.frame import NEVER_MS, SHOWN_OF_ALL, SHOWN_OF_SOURCE
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.post_processor import PostProcessor
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.finality.shards import Shards
from tickertape.stream.engine.frames.upserts import Arrival, unpack
from tickertape.stream.engine.tables.merging import accumulate, in_order
from tickertape.stream.engine.tables.tables import Tables, keys_of_slices
from tickertape.stream.engine.windows.past_horizon import PastHorizon
from tickertape.stream.engine.windows.placing import Placing


class Folding:
    """Merges slices into windows, and marks the windows that become final.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slice_ms
        A slice's width, ms.
    tables, shards
        The slices and windows, and the state of the shards; changed.
    past_horizon
        Finds slices that arrive after their windows were closed.
    post_processors
        Post-processors, which receive the upserts that arrive and the slices that are folded.
    """

    def __init__(
        self,
        windowing: Windowing,
        slice_ms: int,
        tables: Tables,
        shards: Shards,
        past_horizon: PastHorizon,
        post_processors: list[PostProcessor],
    ) -> None:
        self._windowing = windowing
        self._slice_ms = slice_ms
        self._tables = tables
        self._shards = shards
        self._past_horizon = past_horizon
        self._post_processors = post_processors
        #: By shard: its frontiers, and the numbers of the slices that they had reached at the last look.
        self._ends: dict[int, tuple[Finality, list[dict[str, int]]]] = {}
        #: The number of the resolution that the fast lane publishes, or None.
        fast = windowing.fast_resolution(slice_ms)
        self._fast = None if fast is None else list(windowing.resolutions).index(fast)
        self._placing = Placing(windowing, slice_ms, tables, shards.finality)

    def absorb(self, arrived: list[Arrival]) -> None:
        """Store upserts that have arrived; of a slice's upserts, the one with the highest stamp is valid."""
        if not arrived:
            return
        schema = self._windowing.slicing.aggregate.schema
        upserts = unpack(arrived, self._slice_ms, schema, self._tables.names, self._tables.symbols)
        columns = upserts.columns
        self._past_horizon.find(upserts, self._shards.finality, self._events_included)
        for processor in self._post_processors:
            if processor.sees_slices:
                processor.see_upserts(upserts)
        rows, kept = self._placing.rows(columns)
        stored = self._tables.slices.columns
        newer = columns["stamp"][kept] > stored["stamp"][rows]
        rows, kept = rows[newer], kept[newer]
        # If a slice has several upserts here, the last assignment stays, so the highest stamp comes last.
        order = np.argsort(columns["stamp"][kept], kind="stable")
        rows, kept = rows[order], kept[order]
        # An upsert is cumulative, so the next owner needs only the newest one. Its offset is stored too.
        for name, column in columns.items():
            stored[name][rows] = column[kept]
        touched = self._unpublished(rows, upserts.shown[kept])
        self._tables.windows.columns["dirty"][touched[touched != NO_ROW]] = True

    def _unpublished(self, rows: Ints, shown: Ints) -> Ints:
        """Return the rows of the windows of slices, without those that the fast lane has published as they are.

        Parameters
        ----------
        rows
            The rows of slices, by stamp; a slice may occur more than once. Shape (n,).
        shown
            What the fast lane has published of each, see `Frame`.
        """
        places = self._tables.slices.columns["places"][rows]
        if self._fast is not None and shown.any():
            newest = np.zeros(int(rows.max()) + 1, np.int64)
            newest[rows] = shown
            # The fast lane publishes nothing final: a correction of a final window is published here.
            final = self._tables.windows.columns["final"]
            half = len(self._windowing.resolutions)
            for bit, column in ((SHOWN_OF_SOURCE, self._fast), (SHOWN_OF_ALL, half + self._fast)):
                left = (newest[rows] & bit > 0) & ~final[places[:, column]]
                places[left, column] = NO_ROW
        return places.ravel()

    def _events_included(self, upserts: Columns, at: int) -> int:
        """Return how many events of an upsert's slice the open windows include."""
        slices = self._tables.slices
        rows = slices.find(*keys_of_slices({name: column[at : at + 1] for name, column in upserts.items()}))
        return 0 if rows[0] == NO_ROW else self._past_horizon.events(slices.columns, rows)[0]

    def advance(self) -> bool:
        """Fold the slices that can't change any more, and mark the windows that have become final.

        Returns
        -------
        bool
            Whether any frontier has passed the end of a slice.
        """
        passed = False
        for shard, finality in self._shards.finality.items():
            if finality.advance(publishing=shard in self._shards.publishing) and self._passes(shard, finality):
                self._fold(shard, finality)
                self._mark_final(shard, finality)
                passed = True
        return passed

    def _passes(self, shard: int, finality: Finality) -> bool:
        """Return whether a frontier has passed the end of a slice since the last call. Windows end with slices."""
        ends = [
            {name: at_ms // self._slice_ms for name, at_ms in times_ms.items()}
            for times_ms in (finality.final_ms, finality.fold_ms)
        ]
        before = self._ends.get(shard)
        self._ends[shard] = finality, ends
        return before is None or before[0] is not finality or before[1] != ends

    def _fold(self, shard: int, finality: Finality) -> None:
        slices, windows = self._tables.slices, self._tables.windows
        live, stored = slices.live(), slices.columns
        mine = live[stored["shard"][live] == shard]
        end_ms = stored["slice_ms"][mine] + self._slice_ms
        of_source = self._tables.by_source(finality.fold_ms)[stored["source"][mine]] >= end_ms
        of_all = finality.fold_ms.get(ALL, NEVER_MS) >= end_ms
        # A slice's places are the windows of its source, then those of all sources; the two are folded separately.
        half = len(self._windowing.resolutions)
        for columns, ready in ((slice(0, half), of_source), (slice(half, None), of_all)):
            rows = mine[ready]
            pairs = in_order(stored, rows, stored["places"][rows][:, columns], self._tables.names)
            accumulate(self._windowing, stored, pairs, windows.columns, pairs[1])
            stored["places"][rows, columns] = NO_ROW
        folded = mine[(stored["places"][mine] == NO_ROW).all(axis=1)]
        self._past_horizon.fold(shard, finality, self._tables.slice_keys, stored, folded)
        for processor in self._post_processors:
            if processor.sees_slices:
                processor.see_folded(shard, self._tables.slice_keys(folded), stored["offset"][folded])
        slices.release(folded)

    def _mark_final(self, shard: int, finality: Finality) -> None:
        windows = self._tables.windows.columns
        rows = self._tables.windows.live()
        rows = rows[(windows["shard"][rows] == shard) & ~windows["final"][rows]]
        rows = rows[windows["end_ms"][rows] <= self._tables.by_source(finality.final_ms)[windows["source"][rows]]]
        windows["final"][rows] = windows["dirty"][rows] = True

    def release(self) -> None:
        """Forget windows that are published as final and can't be corrected any more."""
        windows = self._tables.windows
        stored, rows = windows.columns, windows.live()
        rows = rows[stored["final"][rows] & ~stored["dirty"][rows]]
        if not len(rows):
            return
        done = np.zeros(len(rows), np.bool_)
        for shard, finality in self._shards.finality.items():
            of_all = finality.fold_ms.get(ALL, NEVER_MS)
            done_ms = np.minimum(self._tables.by_source(finality.fold_ms)[stored["source"][rows]], of_all)
            done |= (stored["shard"][rows] == shard) & (stored["end_ms"][rows] <= done_ms)
        gone = np.zeros(len(stored["whole"]) + 1, np.bool_)
        gone[rows[done]] = True
        stored["whole"][gone[stored["whole"]]] = NO_ROW
        windows.release(rows[done])

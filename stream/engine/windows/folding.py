"""Stores upserts, folds slices that can't change any more into windows, and forgets finished windows."""

from collections.abc import Mapping

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
from tickertape.stream.engine.recovery.state import Rows
from tickertape.stream.engine.tables.joint import is_joint, split
from tickertape.stream.engine.tables.merging import accumulate, in_order
from tickertape.stream.engine.tables.rows import restore_rows
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
        self._placing = Placing(windowing, slice_ms, tables, shards.finality, self._fold_ready)

    def restore(self, shard: int, rows: Rows) -> None:
        """Add the rows of a snapshot."""
        tables = self._tables
        finished = restore_rows(tables, shard, rows, self._shards.finality[shard].previous.finished_ms)
        if not len(finished):
            return
        # These windows are finished for all sources, but not for the only one that they have.
        split(tables, finished)
        self._fold_ready(shard)
        slices, half = tables.slices, len(self._windowing.resolutions)
        live = slices.live()
        places = slices.columns["places"][live]
        places[:, half:][np.isin(places[:, half:], finished)] = NO_ROW
        slices.columns["places"][live] = places
        tables.release_windows(finished)
        slices.release(live[(places == NO_ROW).all(axis=1)])

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
        self._mark_dirty(rows, upserts.shown[kept])

    def _mark_dirty(self, rows: Ints, shown: Ints) -> None:
        """Mark the windows of slices as changed, but not those that the fast lane has published as they are.

        Parameters
        ----------
        rows
            The rows of slices, by stamp; a slice may occur more than once. Shape (n,).
        shown
            What the fast lane has published of each, see `Frame`.
        """
        windows, places = self._tables.windows.columns, self._tables.slices.columns["places"][rows]
        half = len(self._windowing.resolutions)
        own, whole = places[:, :half], places[:, half:]
        only = np.where(is_joint(windows, whole), whole, NO_ROW)
        if self._fast is not None and shown.any():
            newest = np.zeros(int(rows.max()) + 1, np.int64)
            newest[rows] = shown
            for bit, some, final in (
                (SHOWN_OF_SOURCE, own, windows["final"]),
                (SHOWN_OF_SOURCE, only, windows["only_final"]),
                (SHOWN_OF_ALL, whole, windows["final"]),
            ):
                # The fast lane publishes nothing final: a correction of a final window is published here.
                left = (newest[rows] & bit > 0) & ~final[some[:, self._fast]]
                some[left, self._fast] = NO_ROW
        windows["dirty"][places[places != NO_ROW]] = True
        windows["only_dirty"][only[only != NO_ROW]] = True

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
        moved = {
            shard: finality
            for shard, finality in self._shards.finality.items()
            if finality.advance(publishing=shard in self._shards.publishing) and self._passes(shard, finality)
        }
        for shard, finality in moved.items():
            self._fold(shard, finality)
        self._mark_final(moved)
        return bool(moved)

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
        folded = self._fold_ready(shard)
        slices, stored = self._tables.slices, self._tables.slices.columns
        self._past_horizon.fold(shard, finality, self._tables.slice_keys, stored, folded)
        for processor in self._post_processors:
            if processor.sees_slices:
                processor.see_folded(shard, self._tables.slice_keys(folded), stored["offset"][folded])
        slices.release(folded)

    def _fold_ready(self, shard: int) -> Ints:
        """Fold a shard's slices that the frontiers have passed; return the rows of those without open windows."""
        slices, windows, finality = self._tables.slices, self._tables.windows, self._shards.finality[shard]
        live, stored = slices.live(), slices.columns
        mine = live[stored["shard"][live] == shard]
        end_ms = stored["slice_ms"][mine] + self._slice_ms
        of_source = self._tables.by_source(finality.fold_ms)[stored["source"][mine]] >= end_ms
        of_all = finality.fold_ms.get(ALL, NEVER_MS) >= end_ms
        # A slice's places are the windows of its source, then those of all sources; the two are folded separately.
        places, half = stored["places"][mine], len(self._windowing.resolutions)
        unready = np.empty(places.shape, np.bool_)
        unready[:, :half], unready[:, half:] = ~of_source[:, None], ~of_all[:, None]
        unready[:, half:] |= ~of_source[:, None] & is_joint(windows.columns, places[:, half:])
        pairs = in_order(stored, mine, np.where(unready, NO_ROW, places), self._tables.names)
        accumulate(self._windowing, stored, pairs, windows.columns, pairs[1])
        places[~unready] = NO_ROW
        stored["places"][mine] = places
        folded: Ints = mine[(places == NO_ROW).all(axis=1)]
        return folded

    def _mark_final(self, moved: Mapping[int, Finality]) -> None:
        """Mark the windows that are final by now, in the shards whose frontiers have moved."""
        if not moved:
            return
        windows = self._tables.windows.columns
        # One look at all windows leaves few to look at for each shard.
        newest_ms = max(at_ms for finality in moved.values() for at_ms in finality.final_ms.values())
        ended = self._tables.windows.live()
        ended = ended[windows["end_ms"][ended] <= newest_ms]
        for shard, finality in moved.items():
            mine, final_ms = ended[windows["shard"][ended] == shard], self._tables.by_source(finality.final_ms)
            for source, final, dirty in (("source", "final", "dirty"), ("only", "only_final", "only_dirty")):
                rows = mine[~windows[final][mine]]
                if source == "only":
                    rows = rows[is_joint(windows, rows)]
                rows = rows[windows["end_ms"][rows] <= final_ms[windows[source][rows]]]
                windows[final][rows] = windows[dirty][rows] = True

    def release(self) -> None:
        """Forget windows that are published as final and can't be corrected any more."""
        windows = self._tables.windows
        stored, rows = windows.columns, windows.live()
        rows = rows[stored["final"][rows] & ~stored["dirty"][rows]]
        joint = stored["only"][rows] != 0
        rows = rows[~joint | (stored["only_final"][rows] & ~stored["only_dirty"][rows])]
        if not len(rows):
            return
        done = np.zeros(len(rows), np.bool_)
        source = np.where(stored["only"][rows] != 0, stored["only"][rows], stored["source"][rows])
        for shard, finality in self._shards.finality.items():
            of_all = finality.fold_ms.get(ALL, NEVER_MS)
            done_ms = np.minimum(self._tables.by_source(finality.fold_ms)[source], of_all)
            done |= (stored["shard"][rows] == shard) & (stored["end_ms"][rows] <= done_ms)
        self._tables.release_windows(rows[done])

"""Finds slices that arrive or grow past the horizon. Results don't include these events, so they are reported."""

from collections.abc import Callable, Mapping

import numpy as np

from tickertape.schemas.refused import LateSlice
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.frames.upserts import SliceKey, Upserts


class PastHorizon:
    """The slices of one topic that are missing from closed results, in whole or in part, for all shards of a worker.

    A slice is cumulative, and may be sent again without new events. So if a slice was closed before its lane had passed
    it, the number of its events that results include is stored until the lane passes it.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slice_ms
        A slice's width, ms.
    """

    def __init__(self, windowing: Windowing, slice_ms: int) -> None:
        self._windowing = windowing
        self._slice_ms = slice_ms
        self._upto: dict[int, int] = {}
        #: By slice: its shard, and how many of its events the results include.
        self._included: dict[SliceKey, tuple[int, int]] = {}
        self._late: dict[SliceKey, LateSlice] = {}

    def assign(self, shard: int, upto: int, included: Mapping[SliceKey, int]) -> None:
        """Start with a shard.

        Parameters
        ----------
        upto
            The offset below which the previous owner has reported slices.
        included
            From a snapshot: how many of a slice's events the results include.
        """
        self._upto[shard] = upto
        self._included |= {key: (shard, events) for key, events in included.items()}

    def included(self, shard: int) -> dict[SliceKey, int]:
        """Return, for a shard's closed slices that may still grow, how many of their events the results include."""
        return {key: events for key, (of, events) in self._included.items() if of == shard}

    def events(self, columns: Columns, rows: Ints) -> list[int]:
        """Return the number of events in each slice."""
        aggregate = self._windowing.aggregate
        whole = {name: columns[name][rows] for name in self._windowing.slicing.aggregate.schema}
        events: list[int] = aggregate.lift(whole)[self._windowing.revision].tolist()
        return events

    def fold(
        self, shard: int, finality: Finality, keys_of: Callable[[Ints], list[SliceKey]], columns: Columns, rows: Ints
    ) -> None:
        """Record slices that are folded for good and may still grow, because their lane hasn't passed them."""
        if not len(rows) or not finality.is_any_behind:
            return
        for key, events in zip(keys_of(rows), self.events(columns, rows), strict=True):
            if finality.frontier_ms(*key[:2]) < key[3] + self._slice_ms:
                self._included.setdefault(key, (shard, events))

    def find(self, upserts: Upserts, shards: Mapping[int, Finality], included: Callable[[Columns, int], int]) -> None:
        """Find upserts of slices that are closed, and record the events that results don't include.

        Parameters
        ----------
        upserts
            The upserts.
        shards
            The frontiers of each shard.
        included
            Returns how many events of a slice the open windows include, given the upserts' columns and a place.
        """
        columns = upserts.columns
        past = np.zeros(len(columns["shard"]), np.bool_)
        for shard in np.unique(columns["shard"]).tolist():
            of_shard = np.flatnonzero(columns["shard"] == shard)
            past[of_shard] = columns["slice_ms"][of_shard] + self._slice_ms <= shards[shard].most_closed_ms()
        rows = np.flatnonzero(past)
        if not len(rows):
            return
        for i, key, events in zip(rows.tolist(), upserts.keys(rows), self.events(columns, rows), strict=True):
            shard, offset = int(columns["shard"][i]), int(columns["offset"][i])
            partition, source, _, slice_ms = key
            finality, end_ms = shards[shard], slice_ms + self._slice_ms
            missing = {name: at for name in (source, ALL) if (at := finality.closed_ms(name)) >= end_ms}
            if not missing:
                continue
            if offset < self._upto[shard] or finality.previous.had_all(partition, source, end_ms):
                self._included[key] = shard, max(events, self._included.get(key, (shard, 0))[1])
                continue
            _, in_results = self._included.setdefault(key, (shard, included(columns, i)))
            reported = self._late.get(key)
            if events > in_results + (reported.events if reported else 0):
                self._late[key] = self._record(key, shard, offset, events - in_results, missing)

    def _record(self, key: SliceKey, shard: int, offset: int, events: int, missing: Mapping[str, int]) -> LateSlice:
        partition, source, symbol, slice_ms = key
        frontier_ms = max(missing.values())
        return LateSlice(
            topic=SLICES.name,
            partition=shard,
            offset=offset,
            source=source,
            symbol=symbol,
            time_ms=slice_ms,
            frontier_ms=frontier_ms,
            late_by_ms=frontier_ms - slice_ms - self._slice_ms,
            input_topic=self._windowing.slicing.topic.name,
            input_partition=partition,
            events=events,
            missing_in=list(missing),
        )

    def pop_late(self, shards: Mapping[int, Finality]) -> list[LateSlice]:
        """Return the late slices since the last call; forget the slices that their lane has passed."""
        late, self._late = list(self._late.values()), {}
        self._included = {
            key: known
            for key, known in self._included.items()
            if shards[known[0]].frontier_ms(*key[:2]) < key[3] + self._slice_ms
        }
        return late

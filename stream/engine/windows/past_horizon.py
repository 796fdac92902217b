"""Finds slices that arrive or grow past the horizon. Results don't include these events, so they are reported."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tickertape.schemas.refused import LateSlice
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.frames.upserts import SliceKey, Upserts
from tickertape.stream.engine.recovery.state import Included


@dataclass(slots=True)
class _Known:
    """How many of a slice's events are in the results of its source, and in those of all sources; None: still open."""

    shard: int
    in_source: int | None = None
    in_all: int | None = None

    def get(self, name: str) -> int | None:
        return self.in_all if name == ALL else self.in_source

    def set(self, name: str, events: int) -> None:
        if name == ALL:
            self.in_all = events
        else:
            self.in_source = events


class _Missing(NamedTuple):
    """An upsert of a slice, how many of its events some results lack, and up to when these were closed, ms."""

    shard: int
    offset: int
    events: int
    closed_ms: int


class PastHorizon:
    """The slices of one topic that are missing from closed results, in whole or in part, for all shards of a worker.

    A slice is cumulative, and may be sent again without new events. So if a slice was closed before its lane had passed
    it, the number of its events that results include is stored until the lane passes it. The results of its source and
    those of all sources aren't closed at the same time, so they may include different numbers.

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
        #: By slice: how many of its events the results include.
        self._included: dict[SliceKey, _Known] = {}
        #: By slice, and then by whose results: what isn't reported yet.
        self._late: dict[SliceKey, dict[str, _Missing]] = {}

    def assign(self, shard: int, upto: int, included: Mapping[SliceKey, Included]) -> None:
        """Start with a shard.

        Parameters
        ----------
        upto
            The offset below which the previous owner has reported slices.
        included
            From a snapshot, see `State`.
        """
        self._upto[shard] = upto
        for key, events in included.items():
            in_source, in_all = (events, events) if isinstance(events, int) else events
            self._included[key] = _Known(shard, in_source, in_all)

    def included(self, shard: int) -> dict[SliceKey, Included]:
        """Return, for a shard's closed slices that may still grow, how many of their events the results include."""
        return {key: (one.in_source, one.in_all) for key, one in self._included.items() if one.shard == shard}

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
                known = self._included.setdefault(key, _Known(shard))
                for name in (key[1], ALL):
                    if known.get(name) is None:
                        known.set(name, events)

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
            closed_ms = {name: at for name in (source, ALL) if (at := finality.closed_ms(name)) >= end_ms}
            if not closed_ms:
                continue
            known = self._included.setdefault(key, _Known(shard))
            if offset < self._upto[shard] or finality.previous.had_all(partition, source, end_ms):
                for name in closed_ms:
                    known.set(name, max(events, known.get(name) or 0))
                continue
            reported = self._late.setdefault(key, {})
            for name, at_ms in closed_ms.items():
                in_results = known.get(name)
                if in_results is None:
                    in_results = included(columns, i)
                    known.set(name, in_results)
                if events > in_results + (reported[name].events if name in reported else 0):
                    reported[name] = _Missing(shard, offset, events - in_results, at_ms)

    def _records(self, key: SliceKey, missing: Mapping[str, _Missing]) -> list[LateSlice]:
        """Return what to report of a slice: one record for the results that lack the same events."""
        partition, source, symbol, slice_ms = key
        names: dict[tuple[int, int, int], list[str]] = {}
        for name, one in missing.items():
            names.setdefault(one[:3], []).append(name)
        records = []
        for (shard, offset, events), missing_in in names.items():
            closed_ms = max(missing[name].closed_ms for name in missing_in)
            records.append(
                LateSlice(
                    topic=SLICES.name,
                    partition=shard,
                    offset=offset,
                    source=source,
                    symbol=symbol,
                    time_ms=slice_ms,
                    frontier_ms=closed_ms,
                    late_by_ms=closed_ms - slice_ms - self._slice_ms,
                    input_topic=self._windowing.slicing.topic.name,
                    input_partition=partition,
                    events=events,
                    missing_in=missing_in,
                )
            )
        return records

    def pop_late(self, shards: Mapping[int, Finality]) -> list[LateSlice]:
        """Return the late slices since the last call; forget the slices that their lane has passed."""
        late, self._late = [one for key, missing in self._late.items() for one in self._records(key, missing)], {}
        self._included = {
            key: known
            for key, known in self._included.items()
            if shards[known.shard].frontier_ms(*key[:2]) < key[3] + self._slice_ms
        }
        return late

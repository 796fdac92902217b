"""Slices that go on past the horizon: what results hold no more of them is told of, not dropped in silence."""

from collections.abc import Callable, Mapping

import numpy as np

from tickertape.schemas.refused import LateSlice
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.frames.upserts import SliceKey
from tickertape.stream.engine.windows.finality import Finality


class PastHorizon:
    """The slices of one topic that results were closed without, for all shards of a worker.

    A slice is cumulative, and may be sent again without news. So what results hold of one that was closed while its
    lane was open is remembered until the lane has passed it.

    Parameters
    ----------
    windowing
        What is made of the slices.
    slice_ms
        A slice's width.
    """

    def __init__(self, windowing: Windowing, slice_ms: int) -> None:
        self._windowing = windowing
        self._slice_ms = slice_ms
        self._upto: dict[int, int] = {}
        #: Shard, and how many of a slice's events results hold.
        self._held: dict[SliceKey, tuple[int, int]] = {}
        self._late: dict[SliceKey, LateSlice] = {}

    def assign(self, shard: int, upto: int, held: Mapping[SliceKey, int]) -> None:
        """Begin with a shard; what lies below an offset the last owner has told of, and what `held` says it knew."""
        self._upto[shard] = upto
        self._held |= {key: (shard, events) for key, events in held.items()}

    def held(self, shard: int) -> dict[SliceKey, int]:
        """Return how many events results hold of a shard's slices that may go on."""
        return {key: events for key, (of, events) in self._held.items() if of == shard}

    def events(self, columns: Columns, rows: Ints) -> list[int]:
        """Return how many events slices hold."""
        aggregate = self._windowing.aggregate
        whole = {name: columns[name][rows] for name in self._windowing.slicing.aggregate.schema}
        events: list[int] = aggregate.lift(whole)[self._windowing.revision].tolist()
        return events

    def fold(self, shard: int, finality: Finality, keys: list[SliceKey], columns: Columns, rows: Ints) -> None:
        """Hear which slices are folded for good: those whose lane is behind may go on."""
        behind = finality.behind()
        if not behind:
            return
        for key, events in zip(keys, self.events(columns, rows), strict=True):
            if behind.get(key[:2], -UNSET) < key[3] + self._slice_ms:
                self._held.setdefault(key, (shard, events))

    def find(
        self,
        keys: list[SliceKey],
        columns: Columns,
        shards: Mapping[int, Finality],
        held: Callable[[SliceKey], int],
    ) -> None:
        """Look for slices that go on behind what is closed.

        Parameters
        ----------
        keys, columns
            See `Upserts`.
        shards
            What each shard knows.
        held
            How many events open windows have of a slice.
        """
        past = np.zeros(len(keys), np.bool_)
        for shard in np.unique(columns["shard"]).tolist():
            mine = np.flatnonzero(columns["shard"] == shard)
            past[mine] = columns["slice_ms"][mine] + self._slice_ms <= shards[shard].most_closed_ms()
        rows = np.flatnonzero(past)
        if not len(rows):
            return
        for i, events in zip(rows.tolist(), self.events(columns, rows), strict=True):
            key, shard, offset = keys[i], int(columns["shard"][i]), int(columns["offset"][i])
            partition, source, _, slice_ms = key
            finality, end_ms = shards[shard], slice_ms + self._slice_ms
            missing = {name: at for name in (source, ALL) if (at := finality.closed_ms(name)) >= end_ms}
            if not missing:
                continue
            if offset < self._upto[shard] or finality.previous.had_all(partition, source, end_ms):
                self._held[key] = shard, max(events, self._held.get(key, (shard, 0))[1])
                continue
            _, known = self._held.setdefault(key, (shard, held(key)))
            told = self._late.get(key)
            if events > known + (told.events if told else 0):
                self._late[key] = self._record(key, shard, offset, events - known, missing)

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
        """Return what is to be told since the last call, and forget what no lane can add to."""
        late, self._late = list(self._late.values()), {}
        self._held = {
            key: known
            for key, known in self._held.items()
            if shards[known[0]].frontier_ms(*key[:2]) < key[3] + self._slice_ms
        }
        return late

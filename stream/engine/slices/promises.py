"""Where each source of a partition promises to place its symbols, as its heartbeats say."""

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.schemas.heartbeat import Heartbeat, Keyed
from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.core.names import InputNames
from tickertape.stream.kafka.partition import partition_for

# Numbers of partitions whose look-ups are kept: a topic has one, and a further one at each step.
_MOST_NUMBERS = 8


class _Promise(NamedTuple):
    """What a source's newest heartbeat says, and the first time of windows that it counts for, ms."""

    keyed: tuple[Keyed, ...]
    spread: tuple[str, ...]
    since_ms: int


class Promises:
    """The promises of one partition's sources, see `Heartbeat`.

    A new owner of the partition learns them from the next heartbeats.

    Parameters
    ----------
    partition
        The partition's number.
    slice_ms, skew_ms
        See `Settings`.
    symbols
        The symbols, by code.
    """

    def __init__(self, partition: int, slice_ms: int, skew_ms: int, symbols: InputNames) -> None:
        self._partition = partition
        self._slice_ms = slice_ms
        self._skew_ms = skew_ms
        self._symbols = symbols
        self._of: dict[str, _Promise] = {}
        # By number of partitions: whether a symbol's place is this partition, by the symbol's code.
        self._is_here: dict[int, Bools] = {}
        self._cleared = symbols.cleared

    def hear(self, beats: Iterable[tuple[int, Heartbeat]], lanes: Lanes) -> None:
        """Store what heartbeats promise.

        The first heartbeat of a new lane counts for all times. One that promises something else than the one before
        counts for windows past all events before it: none of these is later than the skew allows. A step that is only
        added begins past them anyway.

        Parameters
        ----------
        beats
            Heartbeats with their offsets, in order.
        lanes
            The lanes, moved by at least these heartbeats.
        """
        for offset, beat in beats:
            watermark_ms = lanes.watermark_ms.get(beat.source)
            if watermark_ms is None:
                continue
            before = self._of.get(beat.source)
            steps = [step.from_ms for step in beat.keyed]
            keyed = beat.keyed if steps == sorted(steps) else ()
            goes_on = before is not None and before.keyed and keyed[: len(before.keyed)] == before.keyed
            if before is not None and goes_on and beat.spread == before.spread:
                since_ms = before.since_ms
            elif lanes.admitted_at.get(beat.source) == (offset, 0):
                since_ms = NEVER_MS
            else:
                since_ms = watermark_ms + self._skew_ms
            self._of[beat.source] = _Promise(keyed, beat.spread, since_ms)
        if len(self._of) > len(lanes.watermark_ms):
            self._of = {source: promise for source, promise in self._of.items() if source in lanes.watermark_ms}

    def made_by(self, sources: Iterable[str]) -> bool:
        """Return whether all of these sources promise something."""
        return all(source in self._of and self._of[source].keyed for source in sources)

    def keep(self, source: str, symbols: Ints, starts_ms: Ints) -> Bools:
        """Return whether all events of a source are in this partition, for n slices.

        Parameters
        ----------
        source
            The source.
        symbols, starts_ms
            The symbols' codes, and the starts of the slices, ms; shape (n,).
        """
        promise = self._of.get(source)
        kept = np.zeros(len(symbols), np.bool_)
        if promise is None or not promise.keyed:
            return kept
        steps = [step.from_ms for step in promise.keyed]
        for start_ms in set(starts_ms.tolist()):
            at = bisect_right(steps, start_ms)
            # A slice with a step in it belongs to two numbers of partitions.
            if at and start_ms >= promise.since_ms and at == bisect_right(steps, start_ms + self._slice_ms - 1):
                rows = (starts_ms == start_ms).nonzero()[0]
                kept[rows] = self._here(promise.keyed[at - 1].partitions)[symbols[rows]]
        spread = [code for name in promise.spread if (code := self._symbols.code.get(name)) is not None]
        if spread:
            kept &= ~np.isin(symbols, spread)
        return kept

    def _here(self, partitions: int) -> Bools:
        if self._cleared != self._symbols.cleared or len(self._is_here) > _MOST_NUMBERS:
            self._is_here, self._cleared = {}, self._symbols.cleared
        known = self._is_here.get(partitions, np.empty(0, np.bool_))
        if len(known) < len(self._symbols.names):
            new = [partition_for(name, partitions) == self._partition for name in self._symbols.names[len(known) :]]
            known = self._is_here[partitions] = np.concatenate([known, np.array(new, np.bool_)])
        return known

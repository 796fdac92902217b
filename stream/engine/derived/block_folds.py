"""Folds of aligned blocks of event time, and what they and single windows merge to: the contents of sliding windows."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import Aggregate
from tickertape.stream.engine.derived.series import Arena, Place, Series, rows_of

#: The width of a block, ms. Blocks begin at multiples of it.
BLOCK_MS = 10_000


@dataclass(slots=True, eq=False)
class Slid(Series):
    """A series along which windows slide.

    Attributes
    ----------
    spoiled_ms
        The times that make results incomplete which reach back to them, ms, ascending.
    folded_ms
        The start of the newest window that is folded into a block, ms.
    blocks_ms, folds
        The starts of its blocks, ms, and their folds. The last one is the head.
    middle_ms, middles
        The block for which the middles are made, ms, and their folds: one for each width that has a middle.
    """

    spoiled_ms: "Sequence[int]" = ()
    folded_ms: int = NEVER_MS
    blocks_ms: "array[int]" = field(default_factory=lambda: array("q"))
    folds: "array[int]" = field(default_factory=lambda: array("i"))
    middle_ms: int = NEVER_MS
    middles: "array[int]" = field(default_factory=lambda: array("i"))


def block_of(start_ms: int) -> int:
    """Return the start of the block that a window is in, ms."""
    return start_ms - start_ms % BLOCK_MS


class BlockFolds:
    """The folds of all series that one recipe slides along.

    Parameters
    ----------
    aggregate
        The aggregate of the recipe.
    lifted
        Returns the partials of final windows, from their rows.
    wide_ms
        The widths of the sliding windows, ms.
    step_ms
        The width of a final window, ms.
    """

    def __init__(
        self, aggregate: Aggregate, lifted: Callable[[Ints], Columns], wide_ms: Sequence[int], step_ms: int
    ) -> None:
        self._aggregate = aggregate
        self._lifted = lifted
        self._arena = Arena(aggregate.schema)
        #: For each width: from a window's newest start back to its first one, and from the head back to the middle, ms.
        self._back_ms = [step_ms - width_ms for width_ms in wide_ms]
        self._middle_ms = [BLOCK_MS - max(width_ms // BLOCK_MS, 1) * BLOCK_MS for width_ms in wide_ms]
        self._long = [k for k, middle_ms in enumerate(self._middle_ms) if middle_ms]

    def __len__(self) -> int:
        """Return the number of folds."""
        return len(self._arena)

    def rewind(self, changed: Mapping[Slid, int]) -> None:
        """Make the folds of series what they were just before a window, given by its index."""
        opened: list[tuple[Slid, int]] = []
        counts: list[int] = []
        rows = array("i")
        for series, at in changed.items():
            starts_ms = series.starts_ms
            before_ms = starts_ms[at - 1] if at else NEVER_MS
            if series.folded_ms == before_ms:
                continue
            since_ms = block_of(min(series.folded_ms, starts_ms[at]))
            self._forget(series, slice(bisect_left(series.blocks_ms, since_ms), None))
            series.folded_ms = before_ms
            first = bisect_left(starts_ms, since_ms, 0, at)
            blocks_ms = [block_of(start_ms) for start_ms in starts_ms[first:at]]
            cuts = [0, *(i for i, (one, other) in enumerate(pairwise(blocks_ms), 1) if one != other), len(blocks_ms)]
            opened += [(series, blocks_ms[cut]) for cut in cuts[:-1] if blocks_ms]
            counts += [end - cut for cut, end in pairwise(cuts) if blocks_ms]
            rows += series.rows[first:at]
        if opened:
            folds = self._open(opened)
            self._aggregate.merge(self._arena.columns, np.repeat(folds, counts), self._lifted(rows_of(rows)))

    def drop(self, series: Slid) -> None:
        """Forget the blocks before the first window that a series still has."""
        first_ms = block_of(series.starts_ms[0]) if series.starts_ms else -NEVER_MS
        if series.blocks_ms and series.blocks_ms[0] < first_ms:
            self._forget(series, slice(0, bisect_left(series.blocks_ms, first_ms)))

    def advance(self, places: list[Place[Slid]], rows: Ints) -> Columns:
        """Fold one window of each of n series into its head; return the k sliding windows that end with each.

        Parameters
        ----------
        places, rows
            The windows, and their rows, shape (n,). Each is the one after those that are folded.

        Returns
        -------
        Columns
            Partials, shape (n · k,).
        """
        opened: list[tuple[Slid, int]] = []
        for series, at in places:
            start_ms = series.folded_ms = series.starts_ms[at]
            block_ms = start_ms - start_ms % BLOCK_MS
            if not series.blocks_ms or series.blocks_ms[-1] != block_ms:
                opened.append((series, block_ms))
        if opened:
            self._open(opened)
        folds = self._arena.columns
        heads = np.array([series.folds[-1] for series, _ in places], np.int64)
        self._aggregate.merge(folds, heads, self._lifted(rows))
        self._make_middles([series for series, _ in places if series.middle_ms != series.blocks_ms[-1]])
        return self._slid(places, heads)

    def _slid(self, places: list[Place[Slid]], heads: Ints) -> Columns:
        k, starts_ms = len(self._back_ms), np.array([series.folded_ms for series, _ in places], np.int64)
        tail, counts = self._tails(places)
        folds = [heads]
        whole = starts_ms[:, None] + self._back_ms <= (starts_ms - starts_ms % BLOCK_MS)[:, None]
        into = [np.repeat(np.arange(len(places) * k), counts)]
        for middle, width in enumerate(self._long):
            folds.insert(-1, np.array([series.middles[middle] for series, _ in places], np.int64))
            into.append(np.arange(width, len(places) * k, k))
        # A window narrower than a block may begin after the head does: then all of it is in its tail.
        ends = np.flatnonzero(whole)
        folds[-1] = heads[ends // k]
        into.append(ends)
        single, folded = self._lifted(tail), np.concatenate(folds)
        partials: Columns = {}
        parts: Columns = {}
        for name, (dtype, start) in self._aggregate.schema.items():
            partials[name] = np.full(len(places) * k, start, dtype)
            parts[name] = np.concatenate([single[name], self._arena.columns[name][folded]])
        self._aggregate.merge(partials, np.concatenate(into), parts)
        return partials

    def _tails(self, places: list[Place[Slid]]) -> tuple[Ints, list[int]]:
        """Return the rows of the windows in the tails, and how many each tail has: by place, then by width."""
        tail, counts = array("i"), []
        reach = list(zip(self._back_ms, self._middle_ms, strict=True))
        for series, at in places:
            starts_ms, rows = series.starts_ms, series.rows
            start_ms = starts_ms[at]
            block_ms = start_ms - start_ms % BLOCK_MS
            for back_ms, middle_ms in reach:
                first = bisect_left(starts_ms, start_ms + back_ms, 0, at)
                if start_ms + back_ms > block_ms:
                    end = at + 1
                else:
                    end = bisect_left(starts_ms, block_ms + middle_ms, first, at)
                tail += rows[first:end]
                counts.append(end - first)
        return rows_of(tail), counts

    def _make_middles(self, some: list[Slid]) -> None:
        """Fold the blocks between tail and head, for each width that may have any."""
        if not some or not self._long:
            return
        sources, counts = array("i"), []
        for series in some:
            if not series.middles:
                series.middles = self._arena.rows(len(self._long))
            blocks_ms, folds = series.blocks_ms, series.folds
            head_ms = series.middle_ms = blocks_ms[-1]
            for width in self._long:
                part = folds[bisect_left(blocks_ms, head_ms + self._middle_ms[width]) : -1]
                sources += part
                counts.append(len(part))
        into = rows_of(array("i", b"".join(series.middles for series in some)))
        self._clear(into)
        columns, from_ = self._arena.columns, rows_of(sources)
        parts = {name: columns[name][from_] for name in self._aggregate.schema}
        self._aggregate.merge(columns, np.repeat(into, counts), parts)

    def _open(self, blocks: list[tuple[Slid, int]]) -> Ints:
        """Begin blocks, given by series and start, ms; return their folds."""
        folds = self._arena.rows(len(blocks))
        for (series, block_ms), fold in zip(blocks, folds, strict=True):
            series.blocks_ms.append(block_ms)
            series.folds.append(fold)
        opened = rows_of(folds)
        self._clear(opened)
        return opened

    def _clear(self, folds: Ints) -> None:
        for name, (_, start) in self._aggregate.schema.items():
            self._arena.columns[name][folds] = start

    def _forget(self, series: Slid, which: slice) -> None:
        self._arena.release(series.folds[which])
        del series.blocks_ms[which], series.folds[which]

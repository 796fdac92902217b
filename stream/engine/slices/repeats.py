"""Finds repeated events by their id, within slices that are still open. No durable state is needed for it."""

from collections import deque

import numpy as np

from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.table import Columns

# Pieces of the stored ids are joined only up to this length.
PIECE_IDS = 1 << 16


class Repeats:
    """The ids of one partition's open slices.

    A source's ids mostly rise, so a comparison with the highest id of each slice is enough for nearly every block. The
    ids of slices for which it isn't are compared exactly.

    Notes
    -----
    Two columns of the table of slices are used: ``highest_id``, at first -1, and ``serial``, a number that no other
    slice ever gets.
    """

    def __init__(self) -> None:
        self._held: deque[tuple[Ints, Ints]] = deque()

    def find(self, columns: Columns, rows: Ints, local: Ints, ids: Ints) -> Bools | None:
        """Return which events repeat an earlier one, shape (n,), or None if none does; store the ids of the others.

        Parameters
        ----------
        columns
            The columns of the table of slices.
        rows
            The row of each slice of the block, shape (k,).
        local
            The slice of each event, as an index of ``rows``, shape (n,). Every row occurs.
        ids
            Each event's id, shape (n,).
        """
        # A stable sort of small integers is a radix sort.
        order = np.argsort(local.astype(np.uint16) if len(rows) <= 1 << 16 else local, kind="stable")
        group, by_group = local[order], ids[order]
        same = group[1:] == group[:-1]
        falls = same & (by_group[1:] <= by_group[:-1])
        first = np.flatnonzero(np.concatenate([[True], ~same]))
        highest = columns["highest_id"]
        low = by_group[first] <= highest[rows]
        serial = columns["serial"][rows][local]
        if not (low.any() or falls.any()):
            # The ids rise, so the last of each slice is its highest.
            highest[rows] = by_group[np.concatenate([first[1:], [len(group)]]) - 1]
            self.hold(serial, ids)
            return None
        doubtful = low
        doubtful[group[1:][falls]] = True
        repeated = self._exactly(serial, ids, np.flatnonzero(doubtful[local]))
        np.maximum.at(highest, rows[local], ids)
        new = slice(None) if repeated is None else ~repeated
        self.hold(serial[new], ids[new])
        return repeated

    def hold(self, serial: Ints, ids: Ints) -> None:
        """Store ids that repeat nothing, and the serials of their slices, shape (n,).

        Small pieces are joined, at least doubling each time: a minute can have thousands of blocks.
        """
        while self._held and len(last := self._held[-1][1]) <= len(ids) <= PIECE_IDS - len(last):
            earlier, last = self._held.pop()
            serial, ids = np.concatenate([earlier, serial]), np.concatenate([last, ids])
        self._held.append((serial, ids))

    def _exactly(self, serial: Ints, ids: Ints, doubtful: Ints) -> Bools | None:
        """Return which events are repeats; compare the doubtful ones with each other and with their slices' ids."""
        theirs = np.unique(serial[doubtful])
        held = [(s[mine], i[mine]) for s, i in self._held if (mine := np.isin(s, theirs)).any()]
        n_held = sum(len(s) for s, _ in held)
        serials = np.concatenate([*(s for s, _ in held), serial[doubtful]])
        numbers = np.concatenate([*(i for _, i in held), ids[doubtful]])
        # The sort is stable, so the first of equal ids is the original.
        order = np.lexsort((numbers, serials))
        again = (np.diff(serials[order]) == 0) & (np.diff(numbers[order]) == 0)
        places = order[1:][again] - n_held
        if not len(places):
            return None
        repeated = np.zeros(len(ids), np.bool_)
        repeated[doubtful[places]] = True
        return repeated

    def forget(self, serials: Ints) -> None:
        """Forget the ids of all slices except the open ones, whose serials are given; shape (k,)."""
        if not len(serials):
            self._held.clear()
            return
        # The serials of open slices are close together, so a small look-up table does.
        first = int(serials.min())
        is_open = np.zeros(int(serials.max()) - first + 1, np.bool_)
        is_open[serials - first] = True
        held, self._held = self._held, deque()
        for theirs, ids in held:
            at = theirs - first
            kept = (at >= 0) & (at < len(is_open))
            kept[kept] = is_open[at[kept]]
            if kept.any():
                self._held.append((theirs, ids) if kept.all() else (theirs[kept], ids[kept]))

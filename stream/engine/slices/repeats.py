"""Finding events that came before: by id, inside slices that are still open, at no cost in durable state."""

from collections import deque

import numpy as np

from tickertape.stream.engine.core.block import Bools, Ints
from tickertape.stream.engine.core.table import Columns

# Longer pieces are left as they are.
PIECE_IDS = 1 << 16


class Repeats:
    """The ids of one partition's open slices.

    A source's ids mostly rise, so comparing with the highest seen settles nearly every block; where they don't, the ids
    of just those slices are compared exactly.

    Notes
    -----
    It uses two columns of the table of slices: ``highest_id`` (-1 at first) and ``serial`` (a slice's own number, never
    given twice).
    """

    def __init__(self) -> None:
        self._held: deque[tuple[Ints, Ints]] = deque()

    def find(self, columns: Columns, rows: Ints, local: Ints, ids: Ints) -> Bools | None:
        """Return which events repeat an earlier one, shape (n,), or None where none does; remember the others.

        Parameters
        ----------
        columns
            The table's.
        rows
            The row of each slice of the block, shape (k,).
        local
            Each event's slice, as an index of ``rows`` in which each occurs, shape (n,).
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
            # They rise, so the last of each slice is its highest.
            highest[rows] = by_group[np.concatenate([first[1:], [len(group)]]) - 1]
            self._hold(serial, ids)
            return None
        doubtful = low
        doubtful[group[1:][falls]] = True
        repeated = self._exactly(serial, ids, np.flatnonzero(doubtful[local]))
        np.maximum.at(highest, rows[local], ids)
        new = slice(None) if repeated is None else ~repeated
        self._hold(serial[new], ids[new])
        return repeated

    def _hold(self, serial: Ints, ids: Ints) -> None:
        """Remember ids; pieces grow by doubling, for of small blocks a minute has thousands."""
        while self._held and len(last := self._held[-1][1]) <= len(ids) <= PIECE_IDS - len(last):
            earlier, last = self._held.pop()
            serial, ids = np.concatenate([earlier, serial]), np.concatenate([last, ids])
        self._held.append((serial, ids))

    def _exactly(self, serial: Ints, ids: Ints, doubtful: Ints) -> Bools | None:
        """Compare the doubtful events with each other and with all that is held of their slices."""
        theirs = np.unique(serial[doubtful])
        held = [(s[mine], i[mine]) for s, i in self._held if (mine := np.isin(s, theirs)).any()]
        n_held = sum(len(s) for s, _ in held)
        serials = np.concatenate([*(s for s, _ in held), serial[doubtful]])
        numbers = np.concatenate([*(i for _, i in held), ids[doubtful]])
        # The sort is stable, so of equal ones the first is the original.
        order = np.lexsort((numbers, serials))
        again = (np.diff(serials[order]) == 0) & (np.diff(numbers[order]) == 0)
        places = order[1:][again] - n_held
        if not len(places):
            return None
        repeated = np.zeros(len(ids), np.bool_)
        repeated[doubtful[places]] = True
        return repeated

    def forget(self, serials: Ints) -> None:
        """Drop the ids of all slices but these, which are still open; shape (k,)."""
        if not len(serials):
            self._held.clear()
            return
        # A slice's serial is not far from its neighbours', so this is a look-up in a small table.
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

"""Joint windows: one row is the window of all sources and that of the only source with slices in it.

Mostly a symbol has one source. Then the windows of the source and those of all sources have the same slices, so one
row has the partials of both. Such a row is one of `ALL`, with the source's code in ``only``; that is 0 in other rows.
Both results are still published apart, each by its own frontier: ``dirty`` and ``final`` are those of all sources,
``only_dirty`` and ``only_final`` those of the source.

A row stays joint as long as each slice in it is in both windows, with the same events. Three rules ensure that:

1. A new row of `ALL` is joint if the slice that opens it belongs to both windows, and the source's has no row yet.
2. A joint row folds a slice once both fold frontiers have passed it. Until then the slice stays open, as it would for
   the later one alone. When a slice is folded doesn't change a sum: merging is a left fold in the order of slices.
3. Before anything would enter only one of both windows, the row is split. That is a slice of another source; a slice
   that only one of both can still take; and news of a slice that only one of both has folded.

A split gives the source a row of its own, and each slice a place in both. Then what one frontier has passed is folded
into that frontier's window. So the rows are what they would be if the windows had never been joint, and no result tells
that they were.
"""

import numpy as np

from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.table import NO_ROW, Columns
from tickertape.stream.engine.tables.tables import Tables, keys_of_windows


def is_joint(windows: Columns, rows: Ints) -> Bools:
    """Return which of some rows of windows are joint; ``rows`` has any shape, and may have -1 for none."""
    joint: Bools = (windows["only"][rows] != 0) & (rows != NO_ROW)
    return joint


def split(tables: Tables, rows: Ints) -> None:
    """Give the sources of joint windows rows of their own.

    Afterwards slices have to be folded that only one of both has still open.

    Parameters
    ----------
    tables
        The tables; changed.
    rows
        The rows of joint windows, each once, shape (n,).
    """
    windows, slices = tables.windows, tables.slices
    own = windows.columns_at(rows)
    own |= {"source": own["only"], "dirty": own["only_dirty"], "final": own["only_final"], "whole": rows}
    _clear(windows.columns, rows)
    at, _ = windows.rows(*keys_of_windows(own))
    stored = windows.columns
    for name, column in own.items():
        stored[name][at] = column
    _clear(stored, at)
    place = np.full(len(stored["only"]) + 1, NO_ROW)
    place[rows] = at
    live, places = slices.live(), slices.columns["places"]
    half = places.shape[1] // 2
    shares = place[places[live, half:]]
    of, column = np.nonzero(shares != NO_ROW)
    places[live[of], column] = shares[of, column]


def _clear(windows: Columns, rows: Ints) -> None:
    windows["only"][rows], windows["only_dirty"][rows], windows["only_final"][rows] = 0, False, False

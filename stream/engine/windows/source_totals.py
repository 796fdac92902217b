"""Windows of all sources, and those of each source that are shares of them: pure functions of a table's columns."""

import numpy as np

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.table import Columns

_NONE = -1
_MOST = np.iinfo(np.int64).max


def tie(windows: Columns, places: Ints) -> None:
    """Note which window of all a source's window is a share of.

    Parameters
    ----------
    windows
        The table's columns.
    places
        Of slices: the rows of the windows of their source, then of those of all; shape (n, 2 k), -1 for none.
    """
    half = places.shape[1] // 2
    one, whole = places[:, :half].ravel(), places[:, half:].ravel()
    tied = (one != _NONE) & (whole != _NONE)
    windows["whole"][one[tied]] = whole[tied]


def with_shares(windows: Columns, rows: Ints, live: Ints) -> Ints:
    """Return these windows, and then the shares of those of all sources that aren't among them."""
    is_there = np.zeros(len(windows["whole"]) + 1, np.bool_)
    is_there[rows] = True
    return np.concatenate([rows, live[is_there[windows["whole"][live]] & ~is_there[live]]])


def add_up(windows: Columns, rows: Ints, metrics: Columns, summed: tuple[str, ...]) -> None:
    """Make metrics that are sums over sources so, in the windows of all.

    Parameters
    ----------
    windows
        The table's columns.
    rows
        Windows, with all their shares.
    metrics
        Of these; changed. A sum that int64 can't hold is the greatest that it can.
    summed
        Which of them: whole numbers, none below zero.
    """
    place = np.full(len(windows["whole"]) + 1, _NONE)
    place[rows] = np.arange(len(rows))
    target = place[windows["whole"][rows]]
    shares = target != _NONE
    for name in summed:
        total, added = np.zeros(len(rows), np.int64), metrics[name][shares]
        np.add.at(total, target[shares], added)
        if len(added) and int(added.max()) > _MOST // len(added):
            exact = np.zeros(len(rows), object)
            np.add.at(exact, target[shares], added)
            total = np.minimum(exact, _MOST).astype(np.int64)
        metrics[name] = np.where(windows["source"][rows] == 0, total, metrics[name])

"""Pure functions that make metrics of all sources together the sums over the sources.

A source's window is a share of the window of all sources with the same symbol, resolution and start. A joint window has
no shares: its metrics are the source's, and `of_one` makes those of all sources of them. See `tables.joint`.
"""

import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import NO_ROW, Columns

_MOST = np.iinfo(np.int64).max


def tie(windows: Columns, places: Ints) -> None:
    """Store, for each source's window, the row of the window that it is a share of.

    Parameters
    ----------
    windows
        The columns of windows; changed.
    places
        For each slice, the rows of its source's windows, then those of all sources; shape (n, 2 k), -1 for none.
    """
    half = places.shape[1] // 2
    shares, whole = places[:, :half].ravel(), places[:, half:].ravel()
    tied = (shares != NO_ROW) & (whole != NO_ROW)
    windows["whole"][shares[tied]] = whole[tied]


def with_shares(windows: Columns, rows: Ints, live: Ints) -> Ints:
    """Return the rows of windows, followed by the rows of all their shares that aren't among them."""
    is_included = np.zeros(len(windows["whole"]) + 1, np.bool_)
    is_included[rows] = True
    return np.concatenate([rows, live[is_included[windows["whole"][live]] & ~is_included[live]]])


def add_up(windows: Columns, rows: Ints, metrics: Columns, summed: tuple[str, ...]) -> None:
    """Set metrics of windows of all sources to the sums over the sources.

    Parameters
    ----------
    windows
        The columns of windows.
    rows
        The rows of windows, with all their shares.
    metrics
        The metrics of these windows; changed. A sum past int64 is set to the greatest int64.
    summed
        The names of the metrics to sum. They are integers. A negative one means unknown, and so does its sum: -1.
    """
    place = np.full(len(windows["whole"]) + 1, NO_ROW)
    place[rows] = np.arange(len(rows))
    target = place[windows["whole"][rows]]
    shares = target != NO_ROW
    for name in summed:
        total, added = np.zeros(len(rows), np.int64), metrics[name][shares]
        np.add.at(total, target[shares], added)
        if len(added) and int(added.max()) > _MOST // len(added):
            exact = np.zeros(len(rows), object)
            np.add.at(exact, target[shares], added)
            total = np.minimum(exact, _MOST).astype(np.int64)
        total[target[shares][added < 0]] = -1
        metrics[name] = np.where(windows["source"][rows] == 0, total, metrics[name])


def of_one(metric: Ints) -> Ints:
    """Return the sums over one source each, given that source's metric: -1 if it is negative, see `add_up`."""
    return np.maximum(metric, -1)

"""Pure functions that merge slices into windows, always in the canonical order: slice, partition, source."""

import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.table import NO_ROW, Columns, Table
from tickertape.stream.engine.define.recipes import Windowing


def in_order(slices: Columns, rows: Ints, places: Ints, names: Names) -> tuple[Ints, Ints]:
    """Pair slices with their windows; return the rows of both, by window and then in the canonical order.

    Parameters
    ----------
    slices
        The columns of slices.
    rows
        The rows of the slices to pair, shape (n,).
    places
        The rows of each slice's windows, shape (n, k), -1 for none.
    names
        The sources, by code. They are sorted by name: codes depend on the order in which sources were first read.
    """
    at, _ = np.nonzero(places != NO_ROW)
    windows = places[places != NO_ROW]
    rows = rows[at]
    rank = np.argsort(np.argsort(np.array(names.names)))
    order = np.lexsort((rank[slices["source"][rows]], slices["partition"][rows], slices["slice_ms"][rows], windows))
    return rows[order], windows[order]


def accumulate(windowing: Windowing, slices: Columns, pairs: tuple[Ints, Ints], into: Columns, targets: Ints) -> None:
    """Merge slices into windows: first the slices of the same second, then the results in time order.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    slices
        The columns of slices.
    pairs
        See `in_order`.
    into
        The columns of windows; changed.
    targets
        Each pair's row in ``into``, shape (n,).
    """
    rows, windows = pairs
    if not len(rows):
        return
    slice_ms = slices["slice_ms"][rows]
    first = np.concatenate([[True], (windows[1:] != windows[:-1]) | (slice_ms[1:] != slice_ms[:-1])])
    aggregate = windowing.slicing.aggregate
    whole: Columns = {name: slices[name][rows] for name in aggregate.schema}
    if not first.all():
        shares, group = whole, np.cumsum(first) - 1
        whole = {name: np.full(int(group[-1]) + 1, start, dtype) for name, (dtype, start) in aggregate.schema.items()}
        aggregate.merge(whole, group, shares)
    windowing.aggregate.merge(into, targets[first], windowing.aggregate.lift(whole))
    if "offset" in into:
        np.minimum.at(into["offset"], targets, slices["offset"][rows])


def as_they_stand(windowing: Windowing, windows: Columns, rows: Ints, slices: Table, names: Names) -> Columns:
    """Return the current partials of windows, including the slices that aren't folded into them yet.

    Parameters
    ----------
    windowing
        The recipe of the windows.
    windows
        The columns of windows.
    rows
        The rows of the windows to return, shape (n,).
    slices
        The slices that aren't folded yet.
    names
        See `in_order`.
    """
    partials = {name: windows[name][rows] for name in windowing.aggregate.schema}
    target = np.full(len(windows["end_ms"]), NO_ROW)
    target[rows] = np.arange(len(rows))
    live = slices.live()
    places = slices.columns["places"][live]
    places = np.where((places != NO_ROW) & (target[places] != NO_ROW), places, NO_ROW)
    pairs = in_order(slices.columns, live, places, names)
    accumulate(windowing, slices.columns, pairs, partials, target[pairs[1]])
    return partials

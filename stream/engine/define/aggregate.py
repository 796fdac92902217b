"""Aggregates as monoids: ``lift`` events to partials, ``merge`` partials, ``finish`` into metrics.

An aggregate is a product of reducers, and a product of monoids is a monoid. A partial is a row of columns. ``lift``
makes each event a partial of its own (mostly the event's columns under other names, nothing is copied), so that one
``merge`` folds events into slices and slices into windows alike. A merge is a left fold in the order of its input:
where it is cut changes nothing, float sums included.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from tickertape.stream.engine.core.block import Floats, Ints
from tickertape.stream.engine.core.table import Columns, Schema

FLOAT: np.dtype[Any] = np.dtype(np.float64)
INT: np.dtype[Any] = np.dtype(np.int64)
_LARGEST = {FLOAT: np.inf, INT: np.iinfo(np.int64).max}
_SMALLEST = {FLOAT: -np.inf, INT: np.iinfo(np.int64).min}


class Reducer(ABC):
    """One commutative monoid, held in one or more columns."""

    schema: Schema

    @abstractmethod
    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        """Fold partials into rows, in order.

        Parameters
        ----------
        into
            Columns of a table, changed in place.
        rows
            The row of each partial, shape (n,); may repeat.
        partials
            Columns of shape (n,).
        """

    def check(self, partials: Columns) -> None:  # noqa: B027 - any number is a partial; a sketch's bytes may be none
        """Look at partials that come from outside.

        Raises
        ------
        ValueError
            They can't be: merging them would fail.
        """


class Sum(Reducer):
    """The sum of a column; of floats in the order given."""

    def __init__(self, name: str, dtype: np.dtype[Any] = FLOAT) -> None:
        self.name = name
        self.schema = {name: (dtype, 0)}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        np.add.at(into[self.name], rows, partials[self.name])


class Extreme(Reducer):
    """The least (or greatest) of a column, ties broken by more columns, others carried along.

    Parameters
    ----------
    *keys
        ``(column, "min" | "max", type)``, compared in this order.
    carries
        Columns that come with the winner, and their types.

    Notes
    -----
    First and last are extremes of (time, id) that carry a price; a high is the extreme of (price, time, id).
    """

    def __init__(
        self,
        *keys: tuple[str, Literal["min", "max"], np.dtype[Any]],
        carries: Mapping[str, np.dtype[Any]] | None = None,
    ) -> None:
        self.keys = [(name, np.minimum if way == "min" else np.maximum) for name, way, _ in keys]
        self.carries = list(carries or ())
        starts = {name: (dtype, (_LARGEST if way == "min" else _SMALLEST)[dtype]) for name, way, dtype in keys}
        self.schema = starts | {name: (dtype, 0) for name, dtype in (carries or {}).items()}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        """Fold column after column, each time with only those that have tied so far."""
        at, ties = rows, slice(None)
        rest = [name for name, _ in self.keys]
        for name, better in self.keys:
            rest = rest[1:]
            column, values = into[name], partials[name][ties]
            if not rest and not self.carries:
                better.at(column, at, values)
                return
            before = column[at]
            better.at(column, at, values)
            after = column[at]
            beaten = at[before != after]
            for other in rest:
                # What tied with the value that was beaten is out.
                into[other][beaten] = self.schema[other][1]
            alive = (values == after).nonzero()[0]
            at, ties = at[alive], alive if isinstance(ties, slice) else ties[alive]
        for name in self.carries:
            into[name][at] = partials[name][ties]


class Steps(Reducer):
    """A sum over the steps from each partial to the next; these come in time order.

    A partial carries what it begins and what it ends with, and a merge adds the step across the seam. Subclasses say
    what a step is.

    Parameters
    ----------
    total
        The column of the sum.
    **carried
        The columns that a step is made from, and their types; they are held as ``first_…`` and ``last_…``. Where the
        first of them is 0 a partial holds nothing.
    """

    def __init__(self, total: str, **carried: np.dtype[Any]) -> None:
        self.total = total
        self.carried = list(carried)
        ends = {f"{end}_{name}": (dtype, 0) for end in ("first", "last") for name, dtype in carried.items()}
        self.schema = ends | {total: (FLOAT, 0.0)}

    @abstractmethod
    def step(self, before: Columns, after: Columns) -> Floats:
        """Return what each step adds, shape (n,), from what was carried before it and after it."""

    def lift(self, events: Columns) -> Columns:
        """Make partials of one point each, from the columns that are carried."""
        points = {f"{end}_{name}": events[name] for end in ("first", "last") for name in self.carried}
        return points | {self.total: np.zeros(len(points[f"last_{self.carried[0]}"]))}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        held = f"last_{self.carried[0]}"
        some = np.flatnonzero(partials[held])
        if not len(some):
            return
        order = some[np.argsort(rows[some], kind="stable")]
        row = rows[order]
        first = {name: partials[f"first_{name}"][order] for name in self.carried}
        last = {name: partials[f"last_{name}"][order] for name in self.carried}
        begins = np.concatenate([[True], row[1:] != row[:-1]])
        ends = np.concatenate([begins[1:], [True]])
        # What goes on from the row, and what from the partial before.
        before = {
            name: np.where(begins, into[f"last_{name}"][row], np.concatenate([column[:1], column[:-1]]))
            for name, column in last.items()
        }
        stepped = before[self.carried[0]] > 0
        added = partials[self.total][order]
        added[stepped] += self.step(
            {name: column[stepped] for name, column in before.items()},
            {name: column[stepped] for name, column in first.items()},
        )
        np.add.at(into[self.total], row, added)
        fresh = begins & ~stepped
        for name in self.carried:
            into[f"first_{name}"][row[fresh]] = first[name][fresh]
            into[f"last_{name}"][row[ends]] = last[name][ends]


class Aggregate:
    """A product of reducers. Subclasses name ``reducers`` and say how an event becomes a partial.

    Attributes
    ----------
    reducers
        What it is made of.
    schema
        All their columns.
    """

    reducers: ClassVar[tuple[Reducer, ...]]
    schema: ClassVar[dict[str, tuple[np.dtype[Any], Any]]]

    def __init_subclass__(cls) -> None:
        cls.schema = {name: column for reducer in cls.reducers for name, column in reducer.schema.items()}

    def lift(self, events: Columns) -> Columns:
        """Make each event, or each finer partial, a partial of this aggregate; shapes (n,) to (n,)."""
        return events

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        """Fold partials into rows, in order; see `Reducer.merge`."""
        for reducer in self.reducers:
            reducer.merge(into, rows, partials)

    def check(self, partials: Columns) -> None:
        """Look at partials that come from outside; see `Reducer.check`."""
        for reducer in self.reducers:
            reducer.check(partials)

    def finish(self, partials: Columns) -> Columns:
        """Turn partials into metrics, by name; shapes (n,) to (n,)."""
        return partials

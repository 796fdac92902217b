"""An aggregate turns events into a metric in three steps.

1. ``lift`` makes a partial, a row of columns, of each event. Mostly it only renames the event's columns, without a
   copy.
2. ``merge`` combines partials. The same ``merge`` folds events into slices and slices into windows. It is a left fold
   in the order of its input: however the input is divided among calls, the result is the same, float sums included.
3. ``finish`` turns partials into metrics.

An aggregate consists of reducers, one for each sum, extreme or sketch that it needs.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from tickertape.stream.compiled import fold
from tickertape.stream.engine.core.columns import Floats, Ints
from tickertape.stream.engine.core.table import Columns, Schema

#: The type of a column of numbers.
FLOAT: np.dtype[Any] = np.dtype(np.float64)
#: The type of a column of integers.
INT: np.dtype[Any] = np.dtype(np.int64)
_LARGEST = {FLOAT: np.inf, INT: np.iinfo(np.int64).max}
_SMALLEST = {FLOAT: -np.inf, INT: np.iinfo(np.int64).min}


class Reducer(ABC):
    """One part of an aggregate, held in one or more columns.

    Merging is associative and commutative, up to rounding, with two exceptions: `Steps` needs time order, and a
    `Frequent` sketch that is full depends on the order of merges.
    """

    schema: Schema
    #: The columns that frames and snapshots may lack; they are zero then.
    optional: Collection[str] = ()
    #: The merge as compiled code does it, if it can.
    compiled: fold.Step | None = None

    @abstractmethod
    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        """Fold partials into rows, in order.

        Parameters
        ----------
        into
            Columns of a table, changed in place.
        rows
            The row of each partial, shape (n,); rows may repeat.
        partials
            Columns of shape (n,).
        """

    def check(self, partials: Columns) -> None:  # noqa: B027 - any number is a valid partial, not so a sketch's bytes
        """Check partials that come from outside.

        Raises
        ------
        ValueError
            They are invalid: merging them would fail.
        """


class Sum(Reducer):
    """The sum of a column; floats are added in the order given.

    Parameters
    ----------
    name
        The column.
    dtype
        Its type.
    optional
        True for a column that is mostly zero: frames leave it out if it is zero for all of their slices, and frames and
        snapshots from before the column was added are read as zeros.
    """

    def __init__(self, name: str, dtype: np.dtype[Any] = FLOAT, *, optional: bool = False) -> None:
        self.name = name
        self.schema = {name: (dtype, 0)}
        self.optional = (name,) if optional else ()
        self.compiled = fold.Step([(name, dtype)], optional=optional)

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        values = partials[self.name]
        if self.optional and not values.any():
            return
        np.add.at(into[self.name], rows, values)


class Extreme(Reducer):
    """The least or greatest value of a column. More columns break ties, and others are carried along.

    Parameters
    ----------
    *keys
        ``(column, "min" | "max", type)``, compared in this order.
    carries
        Columns taken from the winning partial, and their types.
    optional
        The keys that frames and snapshots may lack; they are zero then.

    Notes
    -----
    First and last are extremes of (time, id) that carry a price; a high is the extreme of (price, time, id).
    """

    def __init__(
        self,
        *keys: tuple[str, Literal["min", "max"], np.dtype[Any]],
        carries: Mapping[str, np.dtype[Any]] | None = None,
        optional: Collection[str] = (),
    ) -> None:
        self.optional = optional
        self.keys = [(name, np.minimum if direction == "min" else np.maximum) for name, direction, _ in keys]
        self.carries = list(carries or ())
        starts = {
            name: (dtype, (_LARGEST if direction == "min" else _SMALLEST)[dtype]) for name, direction, dtype in keys
        }
        self.schema = starts | {name: (dtype, 0) for name, dtype in (carries or {}).items()}
        greatest = [direction == "max" for _, direction, _ in keys]
        self.compiled = fold.Step([(name, dtype) for name, (dtype, _) in self.schema.items()], greatest)

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        # One column after another, each time with only the partials that have tied so far.
        at, tied = rows, slice(None)
        rest = [name for name, _ in self.keys]
        for name, extreme in self.keys:
            rest = rest[1:]
            column, values = into[name], partials[name][tied]
            if not rest and not self.carries:
                extreme.at(column, at, values)
                return
            before = column[at]
            extreme.at(column, at, values)
            after = column[at]
            beaten = at[before != after]
            for other in rest:
                # Values that tied with the beaten one don't count any more.
                into[other][beaten] = self.schema[other][1]
            still_tied = (values == after).nonzero()[0]
            at, tied = at[still_tied], still_tied if isinstance(tied, slice) else tied[still_tied]
        for name in self.carries:
            into[name][at] = partials[name][tied]


class Steps(Reducer):
    """A sum over the steps from each partial to the next, in time order.

    A partial carries its first and its last point. A merge adds the step from the last point of one partial to the
    first point of the next. Subclasses define what a step adds.

    Parameters
    ----------
    total
        The column of the sum.
    **carried
        The columns that a step is computed from, and their types; a partial has them as ``first_…`` and ``last_…``. A
        partial is empty if the first of these columns is 0.
    """

    def __init__(self, total: str, **carried: np.dtype[Any]) -> None:
        self.total = total
        self.carried = list(carried)
        ends = {f"{end}_{name}": (dtype, 0) for end in ("first", "last") for name, dtype in carried.items()}
        self.schema = ends | {total: (FLOAT, 0.0)}

    @abstractmethod
    def step(self, before: Columns, after: Columns) -> Floats:
        """Return what each step adds, shape (n,), given the carried columns before and after it."""

    def lift(self, events: Columns) -> Columns:
        """Make a partial of each point, from the carried columns."""
        points = {f"{end}_{name}": events[name] for end in ("first", "last") for name in self.carried}
        return points | {self.total: np.zeros(len(points[f"last_{self.carried[0]}"]))}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        marker = f"last_{self.carried[0]}"
        filled = np.flatnonzero(partials[marker])
        if not len(filled):
            return
        order = filled[np.argsort(rows[filled], kind="stable")]
        row = rows[order]
        first = {name: partials[f"first_{name}"][order] for name in self.carried}
        last = {name: partials[f"last_{name}"][order] for name in self.carried}
        begins = np.concatenate([[True], row[1:] != row[:-1]])
        ends = np.concatenate([begins[1:], [True]])
        # A row's first partial continues from the row, each later one from the partial before it.
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
    """A product of reducers. Subclasses set ``reducers``, and define how an event becomes a partial.

    Attributes
    ----------
    reducers
        The reducers it consists of.
    schema
        The columns of all reducers.
    optional
        The columns that frames and snapshots may lack; they are zero then.
    """

    reducers: ClassVar[tuple[Reducer, ...]]
    schema: ClassVar[dict[str, tuple[np.dtype[Any], Any]]]
    optional: ClassVar[frozenset[str]]
    # The reducers that compiled code merges, and the others.
    _stepped: ClassVar[list[Reducer]]
    _others: ClassVar[list[Reducer]]
    _folding: ClassVar[fold.Folding]

    def __init_subclass__(cls) -> None:
        cls.schema = {name: column for reducer in cls.reducers for name, column in reducer.schema.items()}
        cls.optional = frozenset(name for reducer in cls.reducers for name in reducer.optional)
        cls._stepped = [one for one in cls.reducers if type(one) in (Sum, Extreme)][: fold.MOST_STEPS]
        cls._others = [one for one in cls.reducers if one not in cls._stepped]
        cls._folding = fold.Folding([one.compiled for one in cls._stepped if one.compiled])

    def lift(self, events: Columns) -> Columns:
        """Make each event, or each finer partial, a partial of this aggregate; shapes (n,) to (n,)."""
        return events

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        """Fold partials into rows, in order; see `Reducer.merge`."""
        for k in self._folding.take(into, rows, partials):
            self._stepped[k].merge(into, rows, partials)
        for reducer in self._others:
            reducer.merge(into, rows, partials)

    def check(self, partials: Columns) -> None:
        """Check partials that come from outside; see `Reducer.check`."""
        for reducer in self.reducers:
            reducer.check(partials)

    def finish(self, partials: Columns) -> Columns:
        """Turn partials into metrics, by name; shapes (n,) to (n,)."""
        return partials

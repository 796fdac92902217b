"""Folds partials into rows of columns with compiled code. Where that isn't built, or can't, NumPy has to."""

from collections.abc import Mapping, Sequence
from ctypes import c_void_p
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.library import address_of, library

_Ints: TypeAlias = NDArray[np.int64]
_Column: TypeAlias = NDArray[Any]
_FLOAT, _INT = np.dtype(np.float64), np.dtype(np.int64)
_DENSE = (8,)
#: The most steps that are taken at once: a bit each.
MOST_STEPS = 64


class Step(NamedTuple):
    """A sum, or an extreme.

    Attributes
    ----------
    columns
        The names and types of its columns. A sum has one. An extreme has first those that are compared, then those that
        are carried along.
    greatest
        For each column that is compared, whether the greatest wins; empty for a sum.
    optional
        Whether nothing is added if all values of the sum are zero.
    """

    columns: Sequence[tuple[str, np.dtype[Any]]]
    greatest: Sequence[bool] = ()
    optional: bool = False


class Folding:
    """Takes the steps of an aggregate, all of them with one call.

    Parameters
    ----------
    steps
        The steps, at most `MOST_STEPS`, with integers and floats of 8 bytes.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._columns = [column for step in steps for column in step.columns]
        self._n = len(steps)
        self._all = range(len(steps))
        self._steps = np.array(
            [
                (
                    len(step.greatest),
                    len(step.columns),
                    sum((dtype == _FLOAT) << k for k, (_, dtype) in enumerate(step.columns)),
                    sum(bool(is_greatest) << k for k, is_greatest in enumerate(step.greatest)),
                    step.optional,
                )
                for step in steps
            ],
            np.int64,
        ).reshape(-1, 5)
        self._pointers = c_void_p * len(self._columns)

    def take(self, into: Mapping[str, _Column], rows: _Ints, partials: Mapping[str, _Column]) -> Sequence[int]:
        """Fold partials into rows, in order; return which steps NumPy has to take.

        Parameters
        ----------
        into
            Columns, changed in place.
        rows
            The row of each partial, shape (n,).
        partials
            The partials' columns, shape (n,).
        """
        compiled = library()
        if compiled is None or not self._n or rows.dtype != _INT or not _is_dense(rows):
            return self._all
        size = len(into[self._columns[0][0]])
        to, of = self._addresses(into, (size,)), self._addresses(partials, rows.shape)
        if to is None or of is None:
            return self._all
        left = compiled.tt_fold(address_of(self._steps), self._n, to, of, size, address_of(rows), len(rows))
        return [k for k in self._all if left >> k & 1] if left else ()

    def _addresses(self, columns: Mapping[str, _Column], shape: tuple[int, ...]) -> Any:
        """Return where the columns begin, or None if any isn't what compiled code knows."""
        # Steps share columns.
        known: dict[int, int] = {}
        found = []
        for name, dtype in self._columns:
            column = columns[name]
            if column.dtype != dtype:
                return None
            at = known.get(id(column))
            if at is None:
                if column.shape != shape or not _is_dense(column):
                    return None
                at = known[id(column)] = address_of(column)
            found.append(at)
        return self._pointers(*found)


def rise(greatest: _Ints, rows: _Ints, ids: _Ints) -> bool:
    """Raise each row's greatest id to its last one, if ids rise; return False, with nothing changed, if any doesn't.

    Parameters
    ----------
    greatest
        The greatest id of each row so far.
    rows, ids
        The row of each id, and the ids; shape (n,).
    """
    compiled = library()
    if compiled is None or not all(each.dtype == _INT and _is_dense(each) for each in (greatest, rows, ids)):
        return False
    if len(rows) != len(ids):
        return False
    before = np.empty(len(ids), np.int64)
    return bool(
        compiled.tt_rise(
            address_of(greatest), len(greatest), address_of(rows), address_of(ids), len(ids), address_of(before)
        )
    )


def _is_dense(column: _Column) -> bool:
    """Return whether a column's items, of 8 bytes each, lie one behind the other."""
    return column.strides == _DENSE or len(column) < 2

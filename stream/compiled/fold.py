"""Folds partials into rows of columns with compiled code. Where that isn't built, or can't, NumPy has to."""

from collections.abc import Sequence
from ctypes import c_void_p
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.library import library

_Ints: TypeAlias = NDArray[np.int64]
_Column: TypeAlias = NDArray[Any]
_FLOAT, _INT = np.dtype(np.float64), np.dtype(np.int64)


def add(into: _Column, rows: _Ints, values: _Column) -> bool:
    """Add values to rows, in order, as ``np.add.at`` does; return False if that has to.

    Parameters
    ----------
    into
        A column, changed in place.
    rows, values
        The row that each value is added to, and the values; shape (n,).
    """
    compiled = library()
    if compiled is None or not _plain([into], rows, [values]):
        return False
    call = compiled.tt_add_floats if into.dtype == _FLOAT else compiled.tt_add_integers
    return bool(call(into.ctypes.data, len(into), rows.ctypes.data, values.ctypes.data, len(rows)))


def extreme(into: Sequence[_Column], rows: _Ints, values: Sequence[_Column], greatest: Sequence[bool]) -> bool:
    """Fold values into the rows' extremes, in order; return False if NumPy has to.

    Parameters
    ----------
    into
        The columns, changed in place: first those that are compared, then those that are carried along.
    rows
        The row of each partial, shape (n,).
    values
        The partials' columns, shape (n,).
    greatest
        For each column that is compared, whether the greatest wins.
    """
    compiled = library()
    if compiled is None or not _plain(into, rows, values):
        return False
    pointers = c_void_p * len(into)
    return bool(
        compiled.tt_extreme(
            pointers(*[column.ctypes.data for column in into]),
            pointers(*[column.ctypes.data for column in values]),
            len(greatest),
            len(into),
            sum((column.dtype == _FLOAT) << k for k, column in enumerate(into)),
            sum(bool(is_greatest) << k for k, is_greatest in enumerate(greatest)),
            len(into[0]),
            rows.ctypes.data,
            len(rows),
        )
    )


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
    if compiled is None or not _plain([greatest], rows, [ids]):
        return False
    before = np.empty(len(ids), np.int64)
    return bool(
        compiled.tt_rise(
            greatest.ctypes.data, len(greatest), rows.ctypes.data, ids.ctypes.data, len(ids), before.ctypes.data
        )
    )


def _plain(into: Sequence[_Column], rows: _Ints, values: Sequence[_Column]) -> bool:
    """Return whether these are contiguous columns of equal types that compiled code knows, and of equal lengths."""
    return (
        rows.dtype == _INT
        and rows.flags.c_contiguous
        and all(
            one.dtype == other.dtype
            and one.dtype in (_FLOAT, _INT)
            and one.ndim == other.ndim == 1
            and one.flags.c_contiguous
            and other.flags.c_contiguous
            and len(one) == len(into[0])
            and len(other) == len(rows)
            for one, other in zip(into, values, strict=True)
        )
    )

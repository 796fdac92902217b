"""Columns, and the fast conversion of lists of numbers to them: NumPy's own functions take up to twice as long."""

from collections.abc import Sequence
from struct import error, pack
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.schemas.fields import id_number

#: A column of integers, times among them; shape (n,).
Ints: TypeAlias = NDArray[np.int64]
#: A column of numbers; shape (n,).
Floats: TypeAlias = NDArray[np.float64]
#: A column of flags; shape (n,).
Bools: TypeAlias = NDArray[np.bool_]


def ints(values: Sequence[int]) -> Ints:
    """Return values as a read-only column, shape (n,)."""
    return np.frombuffer(pack(f"{len(values)}q", *values), np.int64)


def floats(values: Sequence[float]) -> Floats:
    """Return values as a read-only column, shape (n,)."""
    return np.frombuffer(pack(f"{len(values)}d", *values))


def flags(values: Sequence[bool]) -> Bools:
    """Return values as a read-only column, shape (n,)."""
    return np.frombuffer(bytes(values), np.bool_)


def ids(values: Sequence[int | str]) -> Ints:
    """Return ids as a read-only column of numbers, shape (n,); see `id_number`."""
    try:
        return ints(values)  # type: ignore[arg-type]  # a text among them is an error here
    except error:
        return ints(list(map(id_number, values)))

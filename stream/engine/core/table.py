"""A table of partial aggregates: each column is an array, each row has a key, and released rows are reused."""

from collections.abc import Mapping
from math import prod
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.compiled.pairs import pairs
from tickertape.stream.engine.core.columns import Ints

#: Columns of equal length, by name.
Columns: TypeAlias = dict[str, NDArray[Any]]
#: By name: a column's type and initial value.
Schema: TypeAlias = Mapping[str, tuple[np.dtype[Any], Any]]
#: In a column of rows: no row.
NO_ROW = -1
#: The type of a column of sketches, which are bytes of any length.
SKETCH: np.dtype[Any] = np.dtype(object)
# Tables with this many rows grow by smaller parts.
_LARGE = 4096
# A column of this size has memory of its own, which the system takes back as soon as the column has been replaced.
# Malloc would keep it, with gaps that the next, longer column doesn't fit into.
_OWN_BYTES = 1 << 20


def step(capacity: int) -> int:
    """Return by how many rows to grow: small tables by half, large ones by an eighth, so that little is left over."""
    return max(capacity // 2 if capacity < _LARGE else capacity // 8, 1)


def grow(columns: Columns, more: int) -> None:
    """Extend columns by zeros, one by one, so that only one column exists twice at a time.

    The system gives memory to rows only when something is written to them.
    """
    for name, column in columns.items():
        columns[name] = grown(column, more)


def grown(column: NDArray[Any], more: int) -> NDArray[Any]:
    """Return a column with zeros added."""
    longer = _zeros((len(column) + more, *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    size_bytes = prod(shape) * dtype.itemsize
    if dtype.hasobject or size_bytes < _OWN_BYTES:
        return np.zeros(shape, dtype)
    return np.frombuffer(mmap(-1, size_bytes, flags=MAP_PRIVATE | MAP_ANONYMOUS), dtype).reshape(shape)


class Table:
    """Rows found by a key of two integers, held as columns that grow.

    Parameters
    ----------
    schema
        The columns: type and initial value by name.

    Attributes
    ----------
    columns
        Arrays of one length, indexed by row. They are replaced when the table grows, so don't keep them. Rows that
        aren't in use may have any values, but a row that was never in use is zero.
    """

    def __init__(self, schema: Schema, capacity: int = 64) -> None:
        self._schema = schema
        self._pairs = pairs()
        self._first, self._second = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
        self._used = np.zeros(capacity, np.bool_)
        #: The released rows; the last of the first `_n_released` is taken next. Then come the rows from `_unused` on.
        self._released = np.zeros(capacity, np.int64)
        self._n_released = self._unused = 0
        self.columns: Columns = {name: np.zeros(capacity, dtype) for name, (dtype, _) in schema.items()}

    def __len__(self) -> int:
        return self._unused - self._n_released

    def find(self, first: Ints, second: Ints) -> Ints:
        """Return the row of each key, `NO_ROW` for a key without one; the keys' halves have shape (n,)."""
        return self._pairs.find(first, second)

    def rows(self, first: Ints, second: Ints) -> tuple[Ints, Ints]:
        """Return the row of each key, and the places of the keys that are new. These get rows of initial values."""
        n = len(first)
        if n > len(self._used) - len(self):
            missing = int(np.count_nonzero(self._pairs.find(first, second) == NO_ROW))
            if missing > (room := len(self._used) - len(self)):
                self._grow(max(missing - room, step(len(self._used))))
        # Keys that aren't new leave rows over, and those past the end are among them.
        again = min(n, self._n_released)
        fresh = np.arange(self._unused - again, self._unused - again + n)
        fresh[:again] = self._released[self._n_released - again : self._n_released][::-1]
        rows, added = self._pairs.add(first, second, fresh)
        if len(added):
            again = min(again, len(added))
            self._n_released -= again
            self._unused += len(added) - again
            new = rows[added]
            self._first[new], self._second[new] = first[added], second[added]
            self._used[new] = True
            for name, (_, start) in self._schema.items():
                self.columns[name][new] = start
        return rows, added

    def live(self) -> Ints:
        """Return all rows in use, in ascending order."""
        return np.flatnonzero(self._used)

    def keys(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the halves of these rows' keys, shape (n,) both."""
        return self._first[rows], self._second[rows]

    def release(self, rows: Ints) -> None:
        """Release rows: their keys are forgotten, and the rows may be reused."""
        self._pairs.drop(*self.keys(rows))
        self._used[rows] = False
        self._released[self._n_released : self._n_released + len(rows)] = rows
        self._n_released += len(rows)

    def rename(self, first: Ints, second: Ints) -> None:
        """Give all live rows other keys, in the order of `live`."""
        live = self.live()
        self._pairs = pairs()
        self._pairs.add(first, second, live)
        self._first[live], self._second[live] = first, second

    def columns_at(self, rows: Ints) -> Columns:
        """Return a copy of these rows' columns."""
        return {name: column[rows] for name, column in self.columns.items()}

    def _grow(self, more: int) -> None:
        grow(self.columns, more)
        self._first, self._second = grown(self._first, more), grown(self._second, more)
        self._used, self._released = grown(self._used, more), grown(self._released, more)

"""A table of partial aggregates: each column is an array, each row has a key, and released rows are reused."""

from collections.abc import Mapping
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


def grow(columns: Columns, schema: Schema, capacity: int) -> int:
    """Extend columns by half, and return the number of rows added. Doubling could take twice the memory needed."""
    more = max(capacity // 2, 1)
    # One by one, so that only one column exists twice at a time.
    for name, (dtype, start) in schema.items():
        columns[name] = np.concatenate([columns[name], np.full(more, start, dtype)])
    return more


class Table:
    """Rows found by a key of two integers, held as columns that grow by half.

    Parameters
    ----------
    schema
        The columns: type and initial value by name.

    Attributes
    ----------
    columns
        Arrays of one length, indexed by row. They are replaced when the table grows, so don't keep them.
    """

    def __init__(self, schema: Schema, capacity: int = 64) -> None:
        self._schema = schema
        self._pairs = pairs()
        self._first, self._second = np.zeros(capacity, np.int64), np.zeros(capacity, np.int64)
        self._used = np.zeros(capacity, np.bool_)
        #: The free rows; the last of the first `_n_free` is taken next.
        self._free = np.arange(capacity - 1, -1, -1)
        self._n_free = capacity
        self.columns: Columns = {name: np.full(capacity, start, dtype) for name, (dtype, start) in schema.items()}

    def __len__(self) -> int:
        return len(self._used) - self._n_free

    def find(self, first: Ints, second: Ints) -> Ints:
        """Return the row of each key, `NO_ROW` for a key without one; the keys' halves have shape (n,)."""
        return self._pairs.find(first, second)

    def rows(self, first: Ints, second: Ints) -> tuple[Ints, Ints]:
        """Return the row of each key, and the places of the keys that are new. These get rows of initial values."""
        n = len(first)
        if n > self._n_free:
            missing = int(np.count_nonzero(self._pairs.find(first, second) == NO_ROW))
            while missing > self._n_free:
                self._grow()
        # Keys that aren't new leave rows over.
        fresh = np.zeros(n, np.int64)
        some = min(n, self._n_free)
        fresh[:some] = self._free[self._n_free - some : self._n_free][::-1]
        rows, added = self._pairs.add(first, second, fresh)
        if len(added):
            self._n_free -= len(added)
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
        self._free[self._n_free : self._n_free + len(rows)] = rows
        self._n_free += len(rows)

    def rename(self, first: Ints, second: Ints) -> None:
        """Give all live rows other keys, in the order of `live`."""
        live = self.live()
        self._pairs = pairs()
        self._pairs.add(first, second, live)
        self._first[live], self._second[live] = first, second

    def columns_at(self, rows: Ints) -> Columns:
        """Return a copy of these rows' columns."""
        return {name: column[rows] for name, column in self.columns.items()}

    def _grow(self) -> None:
        old = len(self._used)
        more = grow(self.columns, self._schema, old)
        self._first, self._second = (
            np.concatenate([half, np.zeros(more, np.int64)]) for half in (self._first, self._second)
        )
        self._used = np.concatenate([self._used, np.zeros(more, np.bool_)])
        # The rows that are still free are taken first.
        free = self._free[: self._n_free]
        self._free = np.zeros(old + more, np.int64)
        self._free[: more + len(free)] = np.concatenate([np.arange(old + more - 1, old - 1, -1), free])
        self._n_free += more

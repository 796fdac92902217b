"""A table of partial aggregates: each column is an array, each row has a key, and released rows are reused."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Ints

#: Columns of equal length, by name.
Columns: TypeAlias = dict[str, NDArray[Any]]
#: By name: a column's type and initial value.
Schema: TypeAlias = Mapping[str, tuple[np.dtype[Any], Any]]
#: In a column of rows: no row.
NO_ROW = -1
#: The type of a column of sketches, which are bytes of any length.
SKETCH: np.dtype[Any] = np.dtype(object)

K = TypeVar("K", bound=Hashable)


def grow(columns: Columns, schema: Schema, capacity: int) -> int:
    """Extend columns by half, and return the number of rows added. Doubling could take twice the memory needed."""
    more = max(capacity // 2, 1)
    # One by one, so that only one column exists twice at a time.
    for name, (dtype, start) in schema.items():
        columns[name] = np.concatenate([columns[name], np.full(more, start, dtype)])
    return more


class Table(Generic[K]):
    """Rows found by key, held as columns that grow by half.

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
        self._row: dict[K, int] = {}
        self._key: list[Any] = [None] * capacity
        self._used = np.zeros(capacity, np.bool_)
        self._free = list(range(capacity - 1, -1, -1))
        self.columns: Columns = {name: np.full(capacity, start, dtype) for name, (dtype, start) in schema.items()}

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, key: K) -> bool:
        return key in self._row

    def rows(self, keys: Iterable[K]) -> Ints:
        """Return the row of each key. A new key gets a row of initial values."""
        row = self._row
        taken: list[int] = []
        found: list[int] = []
        for key in keys:
            at = row.get(key)
            if at is None:
                if not self._free:
                    self._reset(taken)
                    taken = []
                    self._grow()
                at = row[key] = self._free.pop()
                self._key[at] = key
                taken.append(at)
            found.append(at)
        self._reset(taken)
        return np.array(found, np.int64)

    def find(self, key: K) -> int | None:
        return self._row.get(key)

    def live(self) -> Ints:
        """Return all rows in use, in ascending order."""
        return np.flatnonzero(self._used)

    def keys(self, rows: Ints) -> list[K]:
        key = self._key
        return [key[row] for row in rows.tolist()]

    def release(self, rows: Ints) -> None:
        """Release rows: their keys are forgotten, and the rows may be reused."""
        for row in rows.tolist():
            del self._row[self._key[row]]
            self._key[row] = None
            self._free.append(row)
        self._used[rows] = False

    def columns_at(self, rows: Ints) -> Columns:
        """Return a copy of these rows' columns."""
        return {name: column[rows] for name, column in self.columns.items()}

    def _reset(self, rows: list[int]) -> None:
        if rows:
            self._used[rows] = True
            for name, (_, start) in self._schema.items():
                self.columns[name][rows] = start

    def _grow(self) -> None:
        old = len(self._key)
        more = grow(self.columns, self._schema, old)
        self._key += [None] * more
        self._used = np.concatenate([self._used, np.zeros(more, np.bool_)])
        self._free = list(range(old + more - 1, old - 1, -1))

"""A series' kept windows in time order, and the arena that holds their columns."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import Columns, Schema, grow, step
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Windowing


def rows_of(numbers: "array[int]") -> Ints:
    """Return row numbers, as `Arena` and `Series` hold them, as a column of shape (n,)."""
    return np.frombuffer(numbers, np.int32).astype(np.int64)


_DTYPES: dict[Any, np.dtype[Any]] = {int: INT, bool: np.dtype(np.bool_)}


def dtypes_of(windowing: Windowing, names: Iterable[str]) -> dict[str, tuple[np.dtype[Any], Any]]:
    """Return the types and initial values of columns of windows, which may be partials or metrics."""
    types = {one.name: _DTYPES.get(one.type, FLOAT) for one in msgspec.structs.fields(windowing.result)}
    return {
        name: (windowing.aggregate.schema[name][0] if name in windowing.aggregate.schema else types[name], 0)
        for name in names
    }


@dataclass(slots=True, eq=False)
class Series:
    """The kept windows of one symbol, source and resolution, in time order; each has a row in an `Arena`.

    Attributes
    ----------
    is_joint, all_ms
        Whether its windows that start up to a time, ms, are also those of all sources together; see `joint`.
    """

    shard: int
    key: tuple[str, str, str]
    width_ms: int
    is_joint: bool = False
    all_ms: int = NEVER_MS
    starts_ms: "array[int]" = field(default_factory=lambda: array("q"))
    rows: "array[int]" = field(default_factory=lambda: array("i"))

    def insert(self, start_ms: int, row: int) -> tuple[int, int | None]:
        """Insert or replace a window; return its index, and the row of the window that it replaced, or None."""
        starts_ms = self.starts_ms
        if not starts_ms or start_ms > starts_ms[-1]:
            starts_ms.append(start_ms)
            self.rows.append(row)
            return len(starts_ms) - 1, None
        at = bisect_left(starts_ms, start_ms)
        if starts_ms[at] == start_ms:
            old, self.rows[at] = self.rows[at], row
            return at, old
        starts_ms.insert(at, start_ms)
        self.rows.insert(at, row)
        return at, None

    def n_of_all(self) -> int:
        """Return how many windows of a joint series are also those of all sources together."""
        return bisect_right(self.starts_ms, self.all_ms)

    def is_stuck(self, settled_ms: int) -> bool:
        """Return whether the next window of all sources is missing, though they can't change up to a time any more."""
        if not self.starts_ms or self.starts_ms[-1] <= self.all_ms:
            return False
        return self.starts_ms[self.n_of_all()] + self.width_ms <= settled_ms

    def drop(self, n: int) -> "array[int]":
        """Forget the first n windows; return their rows."""
        rows = self.rows[:n]
        del self.starts_ms[:n], self.rows[:n]
        return rows


S = TypeVar("S", bound=Series)
#: A window: its series, and its index among the kept windows.
Place: TypeAlias = tuple[S, int]


class Arena:
    """Columns whose rows are taken and released by number. A row that is taken has old contents."""

    def __init__(self, schema: Schema, capacity: int = 64) -> None:
        self.columns: Columns = {name: np.zeros(capacity, dtype) for name, (dtype, _) in schema.items()}
        self._capacity = capacity
        self._released = array("i")
        self._unused = 0

    def __len__(self) -> int:
        """Return the number of rows in use."""
        return self._unused - len(self._released)

    def has_room(self, n: int) -> bool:
        return n <= self._capacity - len(self)

    def grow(self, n: int) -> None:
        """Grow until n rows are free, and an eighth of all rows besides."""
        while not self.has_room(n + self._capacity // 8):
            more = max(n - self._capacity + len(self), step(self._capacity))
            grow(self.columns, more)
            self._capacity += more

    def rows(self, n: int) -> "array[int]":
        """Take n free rows; return their numbers."""
        if not self.has_room(n):
            self.grow(n)
        cut = max(len(self._released) - n, 0)
        rows = self._released[cut:]
        del self._released[cut:]
        more = n - len(rows)
        rows.extend(range(self._unused, self._unused + more))
        self._unused += more
        return rows

    def release(self, rows: "array[int]") -> None:
        self._released += rows

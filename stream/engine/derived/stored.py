"""The series in a snapshot, and which of them are joint."""

from array import array
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.derived.series import Series, rows_of
from tickertape.stream.engine.recovery.state import Kept

#: Symbol, source and resolution.
Key: TypeAlias = tuple[str, str, str]


class Stored:
    """The windows of one follower and shard in a snapshot.

    Parameters
    ----------
    kept
        The state in the snapshot.
    schema
        The columns, with their types. Those that the snapshot lacks are zero.

    Attributes
    ----------
    spans
        By series: its first window, and the one after its last.
    starts_ms
        The start of each window, ms, shape (n,).
    places
        The index of each window in the columns, shape (n,).
    columns
        The columns, shape (m,).
    """

    def __init__(self, kept: Kept, schema: Schema) -> None:
        ends = np.cumsum([n for *_, n in kept.series], dtype=np.int64).tolist()
        self.spans: dict[Key, tuple[int, int]] = {
            (symbol, source, resolution): (end - n, end)
            for (symbol, source, resolution, n), end in zip(kept.series, ends, strict=True)
        }
        self.starts_ms: Ints = np.frombuffer(kept.starts, np.int64)
        self.places: NDArray[np.int32] = (
            np.frombuffer(kept.rows, np.int32) if kept.rows else np.arange(len(self.starts_ms), dtype=np.int32)
        )
        m = int(self.places.max(initial=-1)) + 1
        self.columns: Columns = {
            name: np.frombuffer(kept.columns[name], dtype) if name in kept.columns else np.zeros(m, dtype)
            for name, (dtype, _) in schema.items()
        }

    def places_of(self, spans: Sequence[tuple[int, int]]) -> NDArray[np.int32]:
        """Return the indices in the columns of the windows of some series, one after the other."""
        return np.concatenate([np.empty(0, np.int32), *(self.places[first:end] for first, end in spans)])

    def joint(self) -> dict[Key, Key]:
        """Return the series of all sources whose windows are the first ones of a source, with the latter's key."""
        joint: dict[Key, Key] = {}
        for key, span in self.spans.items():
            whole = key[0], ALL, key[2]
            if key[1] == ALL or whole in joint or whole not in self.spans:
                continue
            if self._begins(span, self.spans[whole]):
                joint[whole] = key
        return joint

    def _begins(self, longer: tuple[int, int], shorter: tuple[int, int]) -> bool:
        n = shorter[1] - shorter[0]
        one, other = slice(longer[0], min(longer[0] + n, longer[1])), slice(*shorter)
        if not np.array_equal(self.starts_ms[one], self.starts_ms[other]):
            return False
        mine, theirs = self.places[one], self.places[other]
        return np.array_equal(mine, theirs) or all(
            column[mine].tobytes() == column[theirs].tobytes() for column in self.columns.values()
        )


def packed(some: Sequence[tuple[Key, Series, int]], columns: Columns, *, anew: bool, once: bool) -> Kept:
    """Return a state for a snapshot.

    Parameters
    ----------
    some
        Keys and series, with the number of windows of each to store.
    columns
        The columns of all rows.
    anew
        See `Kept`.
    once
        Whether the windows that series share are stored once.
    """
    rows = rows_of(array("i", b"".join(series.rows[:n] for _, series, n in some)))
    starts = b"".join(series.starts_ms[:n] for _, series, n in some)
    places = b""
    if once:
        rows, index = np.unique(rows, return_inverse=True)
        places = index.astype(np.int32).tobytes()
    stored: dict[str, Any] = {name: column[rows].tobytes() for name, column in columns.items()}
    return Kept([(*key, n) for key, _, n in some], starts, stored, anew, places)

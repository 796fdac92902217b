"""The columns of a frame: packed by the sender, and checked by the receiver."""

from collections.abc import Collection
from typing import Any

import numpy as np

from tickertape.schemas.fields import LATEST_MS
from tickertape.schemas.frame import Frame
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import BadName, check
from tickertape.stream.engine.core.table import SKETCH, Columns, Schema
from tickertape.stream.engine.define.aggregate import Aggregate

_NAMED, _TIME = np.dtype(np.uint32).newbyteorder("<"), np.dtype(np.int64).newbyteorder("<")
#: A column that frames have beside the aggregate's, see `Frame`. It may be missing.
SHOWN: dict[str, tuple[np.dtype[Any], Any]] = {"shown": (np.dtype(np.uint8), 0)}
_KEYS: dict[str, np.dtype[Any]] = {"source": _NAMED, "symbol": _NAMED, "slice_ms": _TIME}


class BadFrame(ValueError):  # noqa: N818 - the name says what is wrong
    """A frame with content that no worker sends. It is rejected as a whole."""


def pack(
    columns: Columns,
    rows: Ints,
    sources: list[str],
    symbols: list[str],
    schema: Schema,
    optional: Collection[str] = (),
) -> dict[str, Any]:
    """Return a frame's ``sources``, ``symbols``, ``columns`` and ``sketches``.

    Parameters
    ----------
    columns
        The columns of a table of slices, with ``source``, ``symbol`` and ``slice_ms``.
    rows
        The rows to send, shape (n,).
    sources, symbols
        The names, by code. A frame has those that it needs, with codes of its own.
    schema
        The columns to send.
    optional
        Columns that are left out if they are zero in all slices.
    """
    packed, names = {"slice_ms": columns["slice_ms"][rows].tobytes()}, {}
    for name, known in (("source", sources), ("symbol", symbols)):
        used, codes = np.unique(columns[name][rows], return_inverse=True)
        packed[name] = codes.astype(_NAMED).tobytes()
        names[name] = [known[code] for code in used.tolist()]
    numbers, sketches = parted(schema)
    for name in numbers:
        column = columns[name][rows]
        if name not in optional or column.any():
            packed[name] = column.tobytes()
    return {
        "sources": names["source"],
        "symbols": names["symbol"],
        "columns": packed,
        "sketches": {name: columns[name][rows].tolist() for name in sketches},
    }


def parted(schema: Schema) -> tuple[list[str], list[str]]:
    """Return the names of the columns of numbers, and those of the columns of sketches."""
    numbers = [name for name, (dtype, _) in schema.items() if dtype != SKETCH]
    return numbers, [name for name in schema if name not in numbers]


class Inspector:
    """Checks what a frame's Struct can't express.

    - all columns but optional ones are there, and have one length;
    - names are valid, and every code has a name;
    - times are in range;
    - sketches can be merged.

    Parameters
    ----------
    aggregate
        The aggregate whose partials the frames hold.
    """

    def __init__(self, aggregate: Aggregate) -> None:
        numbers, self._sketches = parted(aggregate.schema)
        dtypes = _KEYS | {name: dtype for name, (dtype, _) in SHOWN.items()}
        dtypes |= {name: aggregate.schema[name][0] for name in numbers}
        self._bytes = {name: dtype.itemsize for name, dtype in dtypes.items()}
        self._needed = self._bytes.keys() - aggregate.optional - SHOWN.keys()
        self._check = aggregate.check
        self._good: set[str] = set()

    def inspect(self, frame: Frame) -> None:
        """Check a frame.

        Raises
        ------
        BadFrame
            The frame is invalid.
        """
        for source in (*frame.sources, *[lane.source for lane in frame.lanes]):
            if source not in self._good:
                self._learn(source)
        columns = frame.columns
        if not columns and not frame.sketches:
            return
        if missing := (self._needed - columns.keys()) | (set(self._sketches) - frame.sketches.keys()):
            raise BadFrame(
                f"it has no {', '.join(sorted(missing))}: the agent may have changed since, and then older frames are "
                "left out; set another `group` to read everything again"
            )
        n = len(columns["slice_ms"]) // _TIME.itemsize
        for name, size in self._bytes.items():
            if name in columns and len(columns[name]) != n * size:
                raise BadFrame(f"column {name} has {len(columns[name])} bytes, and {n} slices need {n * size}")
        for name in self._sketches:
            if len(frame.sketches[name]) != n:
                raise BadFrame(f"column {name} has {len(frame.sketches[name])} sketches, and there are {n} slices")
        if not n:
            return
        for name, names in (("source", frame.sources), ("symbol", frame.symbols)):
            if (code := int(np.frombuffer(columns[name], _NAMED).max())) >= len(names):
                raise BadFrame(f"column {name} has the code {code}, and there are {len(names)} names")
        # Read as an unsigned number, a negative time is far too large.
        if (last := int(np.frombuffer(columns["slice_ms"], np.uint64).max())) > LATEST_MS:
            raise BadFrame(f"a slice begins at {np.uint64(last).astype(np.int64)} ms, which is out of range")
        if self._sketches:
            try:
                self._check({name: np.fromiter(frame.sketches[name], SKETCH, n) for name in self._sketches})
            except ValueError as error:
                raise BadFrame(str(error)) from None

    def _learn(self, source: str) -> None:
        try:
            check(source)
        except BadName as error:
            raise BadFrame(str(error)) from None
        self._good.add(source)

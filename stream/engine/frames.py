"""A frame's columns: packed by who sends it, and looked at by who gets it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.frame import Frame
from schemas.trade import LATEST_MS
from stream.engine.block import Ints
from stream.engine.names import BadName, Names, check
from stream.engine.table import Columns, Schema

_NAMED, _TIME = np.dtype(np.uint32).newbyteorder("<"), np.dtype(np.int64).newbyteorder("<")
_KEYS: dict[str, np.dtype[Any]] = {"source": _NAMED, "symbol": _NAMED, "slice_ms": _TIME}


class BadFrame(ValueError):  # noqa: N818 - it says what is wrong
    """A frame that none of ours has sent: what it says can't be, so nothing of it is taken."""


def pack(keys: Sequence[tuple[str, str, int]], rows: Ints, columns: Columns, schema: Schema) -> dict[str, Any]:
    """Return a frame's ``sources``, ``symbols`` and ``columns``.

    Parameters
    ----------
    keys
        Source, symbol and start of each slice.
    rows
        The row of each in the columns, shape (n,).
    columns
        A table's.
    schema
        Which of them are sent.
    """
    sources, symbols = Names(), Names()
    packed = {
        "source": sources.codes([source for source, _, _ in keys]).astype(_NAMED).tobytes(),
        "symbol": symbols.codes([symbol for _, symbol, _ in keys]).astype(_NAMED).tobytes(),
        "slice_ms": np.array([slice_ms for _, _, slice_ms in keys], np.int64).tobytes(),
    }
    packed |= {name: columns[name][rows].tobytes() for name in schema}
    return {"sources": sources.names, "symbols": symbols.names, "columns": packed}


def inspect(frame: Frame, schema: Schema) -> None:
    """Look at what its schema can't say: that all columns are there and of one length, codes have names, times can be.

    Raises
    ------
    BadFrame
        It isn't so.
    """
    try:
        for source in {*frame.sources, *(lane.source for lane in frame.lanes)}:
            check(source)
    except BadName as error:
        raise BadFrame(str(error)) from None
    columns = frame.columns
    dtypes = _KEYS | {name: dtype for name, (dtype, _) in schema.items()}
    if missing := dtypes.keys() - columns.keys():
        raise BadFrame(
            f"it has no {', '.join(sorted(missing))}: the agent may have changed since, and what it counted before is "
            "left out; with another setting `group` all is read anew"
        )
    n = len(columns["slice_ms"]) // 8
    for name, dtype in dtypes.items():
        if len(columns[name]) != n * dtype.itemsize:
            raise BadFrame(f"column {name} has {len(columns[name])} bytes, and {n} slices need {n * dtype.itemsize}")
    if not n:
        return
    for name, names in (("source", frame.sources), ("symbol", frame.symbols)):
        if (code := int(np.frombuffer(columns[name], _NAMED).max())) >= len(names):
            raise BadFrame(f"column {name} has the code {code}, and there are {len(names)} names")
    slice_ms = np.frombuffer(columns["slice_ms"], _TIME)
    first, last = int(slice_ms.min()), int(slice_ms.max())
    if not 0 <= first <= last <= LATEST_MS:
        raise BadFrame(f"slices begin between {first} and {last} ms")

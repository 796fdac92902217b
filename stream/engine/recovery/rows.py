"""Copies the rows of one shard from the tables of windows and slices, and back into them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.results import WindowKey
from tickertape.stream.engine.core.table import NO_ROW, SKETCH, Columns, Table
from tickertape.stream.engine.frames.upserts import SliceKey
from tickertape.stream.engine.recovery.state import Packed, Rows


def rows_of(windows: Table[WindowKey], slices: Table[SliceKey], shard: int) -> Rows:
    """Return a shard's rows in both tables."""
    names = Names()
    rows = _of(windows, shard)
    place = np.full(len(windows.columns["whole"]) + 1, NO_ROW, np.int32)
    place[rows] = np.arange(len(rows))
    symbols, sources, resolutions = _names(windows.keys(rows), (0, 1, 2))
    codes = {"symbol": symbols, "source": sources, "resolution": resolutions}
    stored = _packed(windows.columns_at(rows), codes, names) | {
        "whole": place[windows.columns["whole"][rows]].tobytes()
    }
    rows = _of(slices, shard)
    sources, symbols = _names(slices.keys(rows), (1, 2))
    pending = _packed(slices.columns_at(rows), {"source": sources, "symbol": symbols}, names)
    return Rows(names.names, stored, pending | {"places": place[slices.columns["places"][rows]].tobytes()})


def _of(table: Table[Any], shard: int) -> Ints:
    live = table.live()
    return live[np.equal(table.columns["shard"][live], shard)]


def _names(keys: Sequence[tuple[Any, ...]], at: tuple[int, ...]) -> list[list[str]]:
    return [[key[i] for key in keys] for i in at]


def _packed(columns: Columns, named: Mapping[str, list[str]], names: Names) -> Packed:
    packed: Packed = {
        name: column.tolist() if column.dtype == SKETCH else column.tobytes()
        for name, column in columns.items()
        if name != "shard"
    }
    return packed | {name: names.codes(texts).astype(np.int32).tobytes() for name, texts in named.items()}


def restore_rows(
    rows: Rows,
    windows: Table[WindowKey],
    slices: Table[SliceKey],
    shard: int,
    names: Names,
    done_ms: Callable[[str], int],
) -> None:
    """Add a shard's rows to both tables.

    Parameters
    ----------
    names
        The codes of sources in these tables.
    done_ms
        Returns a time, ms, for a source: windows that end at or before it are left out.
    """
    stored, codes = _columns(rows.windows, windows, ("symbol", "source", "resolution", "whole"))
    dones_ms = np.array([done_ms(name) for name in rows.names], np.int64)
    open_ = np.flatnonzero(stored["end_ms"] > dones_ms[codes["source"]])
    starts_ms = (stored["end_ms"] - stored["width_ms"])[open_].tolist()
    symbols, sources, resolutions = (
        _texts(codes[name][open_], rows.names) for name in ("symbol", "source", "resolution")
    )
    at = windows.rows(zip(symbols, sources, resolutions, starts_ms, strict=True))
    # Place -1, which means none, leads to the last element, which stays -1.
    place = np.full(len(stored["end_ms"]) + 1, NO_ROW)
    place[open_] = at
    _assign(windows, at, stored, open_)
    windows.columns["whole"][at] = place[codes["whole"][open_]]
    windows.columns["source"][at] = names.codes(sources)
    windows.columns["shard"][at] = shard

    stored, codes = _columns(rows.slices, slices, ("source", "symbol", "places"))
    places = place[codes["places"].reshape(len(codes["source"]), slices.columns["places"].shape[1])]
    open_ = np.flatnonzero((places != NO_ROW).any(axis=1))
    sources, symbols = (_texts(codes[name][open_], rows.names) for name in ("source", "symbol"))
    partitions, starts_ms = (stored[name][open_].tolist() for name in ("partition", "slice_ms"))
    at = slices.rows(zip(partitions, sources, symbols, starts_ms, strict=True))
    _assign(slices, at, stored, open_)
    slices.columns["places"][at] = places[open_]
    slices.columns["source"][at] = names.codes(sources)
    slices.columns["shard"][at] = shard


def _columns(packed: Packed, table: Table[Any], coded: tuple[str, ...]) -> tuple[Columns, Columns]:
    """Return the columns with the table's own types, and the columns of codes and places."""
    n = len(packed[coded[0]]) // np.dtype(np.int32).itemsize
    stored = {
        # A column that the snapshot lacks is optional, and zero.
        name: _unpacked(packed[name], column.dtype) if name in packed else np.zeros(n, column.dtype)
        for name, column in table.columns.items()
        if name != "shard" and name not in coded
    }
    return stored, {name: _unpacked(packed[name], np.dtype(np.int32)) for name in coded}


def _unpacked(data: bytes | list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(data, dtype) if isinstance(data, bytes) else np.fromiter(data, dtype, len(data))


def _texts(codes: Ints, names: list[str]) -> list[str]:
    return [names[code] for code in codes.tolist()]


def _assign(table: Table[Any], at: Ints, stored: Columns, rows: Ints) -> None:
    for name, column in stored.items():
        table.columns[name][at] = column[rows]

"""Copies the rows of one shard from the tables of windows and slices, and back into them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL, Names
from tickertape.stream.engine.core.table import NO_ROW, SKETCH, Columns, Table
from tickertape.stream.engine.recovery.state import Packed, Rows
from tickertape.stream.engine.tables.tables import Tables, keys_of_slices, keys_of_windows


def rows_of(tables: Tables, shard: int) -> Rows:
    """Return a shard's rows in both tables."""
    names = Names()
    stored = tables.windows.columns
    rows = _of(tables.windows, shard)
    place = np.full(len(stored["whole"]) + 1, NO_ROW, np.int32)
    place[rows] = np.arange(len(rows))
    only = stored["only"][rows]
    code = names.codes([tables.names.names[code] for code in only.tolist()])
    windows = _packed(tables.windows.columns_at(rows), tables, names) | {
        "whole": place[stored["whole"][rows]].tobytes(),
        "only": np.where(only != 0, code, NO_ROW).astype(np.int32).tobytes(),
    }
    rows = _of(tables.slices, shard)
    slices = _packed(tables.slices.columns_at(rows), tables, names)
    return Rows(names.names, windows, slices | {"places": place[tables.slices.columns["places"][rows]].tobytes()})


def _of(table: Table, shard: int) -> Ints:
    live = table.live()
    return live[np.equal(table.columns["shard"][live], shard)]


def _packed(columns: Columns, tables: Tables, names: Names) -> Packed:
    """Return columns as bytes. The tables' codes of names become codes of ``names``, which gets those that are new."""
    known = {"symbol": tables.symbols.names, "source": tables.names.names, "resolution": tables.resolutions}
    packed: Packed = {}
    for name, column in columns.items():
        if name in known:
            texts = [known[name][code] for code in column.tolist()]
            packed[name] = names.codes(texts).astype(np.int32).tobytes()
        elif name != "shard":
            packed[name] = column.tolist() if column.dtype == SKETCH else column.tobytes()
    return packed


def restore_rows(tables: Tables, shard: int, rows: Rows, done_ms: Callable[[str], int]) -> Ints:
    """Add a shard's rows to both tables.

    Parameters
    ----------
    done_ms
        Returns a time, ms, for a source, and for all sources, which is not before that of any source: windows that end
        at or before it are left out.

    Returns
    -------
    Ints
        The joint windows that are left out for all sources, but not for their source.
    """
    windows, slices = tables.windows, tables.slices
    stored, codes = _columns(rows.windows, windows, ("symbol", "source", "resolution", "whole", "only"))
    end_ms, dones_ms = stored["end_ms"], np.array([done_ms(name) for name in rows.names], np.int64)
    joint = codes["only"] != NO_ROW
    open_ = np.flatnonzero(end_ms > dones_ms[np.where(joint, codes["only"], codes["source"])])
    joint = joint[open_]
    index = {name: i for i, name in enumerate(tables.resolutions)}
    keys: Columns = {name: stored[name][open_] for name in ("end_ms", "width_ms")}
    keys |= _coded(codes, open_, rows.names, tables)
    keys["resolution"] = np.array([index[rows.names[code]] for code in codes["resolution"][open_].tolist()], np.int64)
    keys["only"] = np.zeros(len(open_), np.int64)
    keys["only"][joint] = tables.names.codes([rows.names[code] for code in codes["only"][open_[joint]].tolist()])
    at, _ = windows.rows(*keys_of_windows(keys))
    # Place -1, which means none, leads to the last element, which stays -1.
    place = np.full(len(end_ms) + 1, NO_ROW)
    place[open_] = at
    _assign(windows, at, {name: column[open_] for name, column in stored.items()} | keys)
    windows.columns["whole"][at] = place[codes["whole"][open_]]
    windows.columns["shard"][at] = shard
    only_of_source: Ints = at[joint & (end_ms[open_] <= done_ms(ALL))]

    stored, codes = _columns(rows.slices, slices, ("source", "symbol", "places"))
    places = place[codes["places"].reshape(len(codes["source"]), slices.columns["places"].shape[1])]
    open_ = np.flatnonzero((places != NO_ROW).any(axis=1))
    keys = {name: stored[name][open_] for name in ("partition", "slice_ms")} | _coded(codes, open_, rows.names, tables)
    at, _ = slices.rows(*keys_of_slices(keys))
    _assign(slices, at, {name: column[open_] for name, column in stored.items()} | keys)
    slices.columns["places"][at] = places[open_]
    slices.columns["shard"][at] = shard
    return only_of_source


def _coded(codes: Columns, rows: Ints, names: list[str], tables: Tables) -> Columns:
    """Return the tables' codes of the sources and symbols of some rows; ``codes`` are codes of ``names``."""
    return {
        name: known.codes([names[code] for code in codes[name][rows].tolist()])
        for name, known in (("source", tables.names), ("symbol", tables.symbols))
    }


def _columns(packed: Packed, table: Table, coded: tuple[str, ...]) -> tuple[Columns, Columns]:
    """Return the columns with the table's own types, and the columns of codes and places, which are -1 if missing."""
    n = len(packed[coded[0]]) // np.dtype(np.int32).itemsize
    stored = {
        # A column that the snapshot lacks is optional, and zero.
        name: _unpacked(packed[name], column.dtype) if name in packed else np.zeros(n, column.dtype)
        for name, column in table.columns.items()
        if name != "shard" and name not in coded
    }
    # Snapshots of earlier versions have no joint windows.
    none = np.full(n, NO_ROW, np.int32).tobytes()
    return stored, {name: _unpacked(packed.get(name, none), np.dtype(np.int32)) for name in coded}


def _unpacked(data: bytes | list[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(data, dtype) if isinstance(data, bytes) else np.fromiter(data, dtype, len(data))


def _assign(table: Table, at: Ints, columns: Columns) -> None:
    for name, column in columns.items():
        table.columns[name][at] = column

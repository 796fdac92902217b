"""The upserts of slices in many frames, as columns."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tickertape.schemas.frame import Frame
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.core.table import SKETCH, Columns, Schema
from tickertape.stream.engine.frames.packing import parted

#: Partition, source, symbol and start, ms, of a slice.
SliceKey: TypeAlias = tuple[int, str, str, int]


class Arrival(NamedTuple):
    """A frame, and the state of its lanes when it was read.

    Attributes
    ----------
    shard, offset
        Where it was read.
    frame
        The frame.
    passed_ms
        For each of the frame's sources, the frontier of its lane before this frame, ms.
    """

    shard: int
    offset: int
    frame: Frame
    passed_ms: list[int]


class Upserts(NamedTuple):
    """Upserts of slices that were open when their frames were read.

    A slice may have more than one upsert.

    Attributes
    ----------
    columns
        The aggregate's columns, and ``slice_ms``, ``source`` and ``symbol`` (codes of the given names), ``partition``,
        ``shard``, ``offset`` and ``stamp``; shape (n,).
    sources, symbols
        The names, by code.
    shown
        What the fast lane has published of each, see `Frame`; shape (n,).
    """

    columns: Columns
    sources: list[str]
    symbols: list[str]
    shown: Ints

    def keys(self, at: Ints) -> list[SliceKey]:
        """Return the slices of the upserts at some places."""
        return slice_keys(self.columns, at, self.sources, self.symbols)


def slice_keys(columns: Columns, at: Ints, sources: list[str], symbols: list[str]) -> list[SliceKey]:
    """Return the keys of slices from their columns, at some places; names are by code."""
    partitions, starts_ms = (columns[name][at].tolist() for name in ("partition", "slice_ms"))
    source_of, symbol_of = (columns[name][at].tolist() for name in ("source", "symbol"))
    return list(
        zip(partitions, [sources[i] for i in source_of], [symbols[i] for i in symbol_of], starts_ms, strict=True)
    )


def unpack(arrivals: list[Arrival], slice_ms: int, schema: Schema, sources: Names, symbols: Names) -> Upserts:
    """Gather the upserts of frames. Upserts of slices that their lane has passed are a zombie's, and left out.

    Parameters
    ----------
    arrivals
        At least one.
    slice_ms
        A slice's width, ms.
    schema
        The aggregate's columns.
    sources, symbols
        The codes of names; names that are new get codes.
    """
    frames = [arrival.frame for arrival in arrivals]
    sizes = [len(frame.columns["slice_ms"]) // 8 for frame in frames]

    def column(name: str, dtype: Any) -> Any:
        """Join a column of all frames; one that a frame lacks is optional, and zero."""
        item = np.dtype(dtype).itemsize
        parts = [frame.columns.get(name) or bytes(n * item) for n, frame in zip(sizes, frames, strict=True)]
        return np.frombuffer(b"".join(parts), dtype)

    start_ms = column("slice_ms", "<i8")
    origin = np.repeat(np.arange(len(frames)), sizes)
    # A frame's codes index its own names. Below they index the names of all frames.
    source_at = column("source", "<u4") + _starts([len(frame.sources) for frame in frames])[origin]
    symbol_at = column("symbol", "<u4") + _starts([len(frame.symbols) for frame in frames])[origin]
    passed_ms = np.array([passed for arrival in arrivals for passed in arrival.passed_ms])
    open_ = np.flatnonzero(start_ms + slice_ms > passed_ms[source_at])
    origin, source_at, symbol_at, start_ms = origin[open_], source_at[open_], symbol_at[open_], start_ms[open_]
    numbers, sketches = parted(schema)
    columns: Columns = {name: column(name, schema[name][0].newbyteorder("<"))[open_] for name in numbers}
    for name in sketches:
        held = [sketch for frame in frames for sketch in frame.sketches[name]]
        columns[name] = np.fromiter(held, SKETCH, len(held))[open_]
    columns["slice_ms"] = start_ms
    columns["source"] = sources.codes([source for frame in frames for source in frame.sources])[source_at]
    columns["symbol"] = symbols.codes([symbol for frame in frames for symbol in frame.symbols])[symbol_at]
    columns["partition"] = np.array([frame.partition for frame in frames])[origin]
    columns["shard"] = np.array([arrival.shard for arrival in arrivals])[origin]
    columns["offset"] = np.array([arrival.offset for arrival in arrivals])[origin]
    columns["stamp"] = np.array([frame.upto for frame in frames])[origin]
    return Upserts(columns, sources.names, symbols.names, column("shown", np.uint8)[open_].astype(np.int64))


def _starts(sizes: list[int]) -> Ints:
    return np.cumsum([0, *sizes[:-1]])

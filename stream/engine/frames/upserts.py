"""The upserts of slices in many frames, as columns."""

from sys import intern
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

    Attributes
    ----------
    keys
        The slice of each upsert; a slice may occur more than once.
    columns
        The aggregate's columns, and ``slice_ms``, ``source`` (a code of the given names), ``partition``, ``shard``,
        ``offset`` and ``stamp``; shape (n,).
    """

    keys: list[SliceKey]
    columns: Columns


def unpack(arrivals: list[Arrival], slice_ms: int, schema: Schema, names: Names) -> Upserts:
    """Gather the upserts of frames. Upserts of slices that their lane has passed are a zombie's, and left out.

    Parameters
    ----------
    arrivals
        At least one.
    slice_ms
        A slice's width, ms.
    schema
        The aggregate's columns.
    names
        The codes of sources.
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
    # Keys far outlive their frames, so equal names and equal starts share one object.
    sources = [intern(source) for frame in frames for source in frame.sources]
    symbols = [intern(symbol) for frame in frames for symbol in frame.symbols]
    source_at = column("source", "<u4") + _starts([len(frame.sources) for frame in frames])[origin]
    symbol_at = column("symbol", "<u4") + _starts([len(frame.symbols) for frame in frames])[origin]
    passed_ms = np.array([passed for arrival in arrivals for passed in arrival.passed_ms])
    open_ = np.flatnonzero(start_ms + slice_ms > passed_ms[source_at])
    origin, source_at, start_ms = origin[open_], source_at[open_], start_ms[open_]
    numbers, sketches = parted(schema)
    columns: Columns = {name: column(name, schema[name][0].newbyteorder("<"))[open_] for name in numbers}
    for name in sketches:
        held = [sketch for frame in frames for sketch in frame.sketches[name]]
        columns[name] = np.fromiter(held, SKETCH, len(held))[open_]
    columns["slice_ms"] = start_ms
    columns["source"] = names.codes(sources)[source_at]
    columns["partition"] = np.array([frame.partition for frame in frames])[origin]
    columns["shard"] = np.array([arrival.shard for arrival in arrivals])[origin]
    columns["offset"] = np.array([arrival.offset for arrival in arrivals])[origin]
    columns["stamp"] = np.array([frame.upto for frame in frames])[origin]
    starts: dict[int, int] = {}
    keys = [
        (partition, sources[source], symbols[symbol], starts.setdefault(start, start))
        for partition, source, symbol, start in zip(
            columns["partition"].tolist(),
            source_at.tolist(),
            symbol_at[open_].tolist(),
            start_ms.tolist(),
            strict=True,
        )
    ]
    return Upserts(keys, columns)


def _starts(sizes: list[int]) -> Ints:
    return np.cumsum([0, *sizes[:-1]])

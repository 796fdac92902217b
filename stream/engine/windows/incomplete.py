"""Which windows retention took records of: as their slicers, and the reader of frames, have told."""

from collections.abc import Mapping

import numpy as np

from tickertape.stream.engine.core.block import Bools, Ints
from tickertape.stream.engine.core.table import Columns


def is_incomplete(marks: Mapping[int, Mapping[int, tuple[int, int]]], windows: Columns, rows: Ints) -> Bools:
    """Return which windows overlap a time that is marked.

    Parameters
    ----------
    marks
        ``(from, to)`` ms, by shard and by input partition.
    windows, rows
        A table's columns, and which of its rows.
    """
    end_ms = windows["end_ms"][rows]
    start_ms, shard_of = end_ms - windows["width_ms"][rows], windows["shard"][rows]
    marked = np.zeros(len(rows), np.bool_)
    for shard, of_shard in marks.items():
        for since_ms, until_ms in of_shard.values():
            marked |= (end_ms > since_ms) & (start_ms < until_ms) & (shard_of == shard)
    return marked

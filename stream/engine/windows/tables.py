"""The tables of open windows, and of slices that wait to be folded into them."""

from typing import Any

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL, Names
from tickertape.stream.engine.core.results import WindowKey
from tickertape.stream.engine.core.table import NO_ROW, Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.frames.upserts import SliceKey

BOOL: np.dtype[Any] = np.dtype(np.bool_)
_NO_STAMP = -1


class Tables:
    """Open windows and the slices that aren't folded into them yet, of one topic and all shards of a worker.

    Attributes
    ----------
    slices
        The slices. ``places`` has the rows of the windows that a slice isn't folded into yet: for each resolution, the
        window of its source, then for each resolution the window of all sources; -1 for none.
    windows
        The windows, with the partials of the slices that are folded. ``whole`` is, for a source's window, the row of
        the window of all sources that it is a share of.
    names
        The sources by code; code 0 is all sources together.
    """

    def __init__(self, windowing: Windowing) -> None:
        places = np.dtype((np.int64, (2 * len(windowing.resolutions),)))
        self.slices: Table[SliceKey] = Table(
            windowing.slicing.aggregate.schema
            | dict.fromkeys(("offset", "slice_ms", "partition", "source", "shard"), (INT, 0))
            | {"stamp": (INT, _NO_STAMP), "places": (places, NO_ROW)}
        )
        self.windows: Table[WindowKey] = Table(
            windowing.aggregate.schema
            | dict.fromkeys(("end_ms", "width_ms", "shard", "source"), (INT, 0))
            | {"whole": (INT, NO_ROW)}
            | {"offset": (INT, np.iinfo(np.int64).max), "dirty": (BOOL, False), "final": (BOOL, False)}
        )
        self.names = Names()
        self.names[ALL]

    def by_source(self, times_ms: dict[str, int]) -> Ints:
        """Return the times by the sources' codes, ms; NEVER_MS for a source without one."""
        return np.array([times_ms.get(name, NEVER_MS) for name in self.names.names])

    def sources_of(self, shard: int) -> set[str]:
        """Return the sources of a shard's slices and windows."""
        in_use = [(table.columns, table.live()) for table in (self.slices, self.windows)]
        codes = [columns["source"][rows[columns["shard"][rows] == shard]] for columns, rows in in_use]
        return {self.names.names[code] for code in np.unique(np.concatenate(codes))}

    def needed_offset(self, shard: int, read: int) -> int:
        """Return the offset from which the next owner has to read for the open windows, at most ``read``."""
        offsets = [read]
        for table in (self.slices, self.windows):
            rows = table.live()
            rows = rows[table.columns["shard"][rows] == shard]
            if len(rows):
                offsets.append(int(table.columns["offset"][rows].min()))
        return min(offsets)

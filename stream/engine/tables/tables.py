"""The tables of open windows, and of slices that wait to be folded into them."""

from typing import Any

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.compiled.texts import Coded
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL, Names
from tickertape.stream.engine.core.results import WindowKeys
from tickertape.stream.engine.core.table import NO_ROW, Columns, Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.frames.upserts import SliceKey, slice_keys

BOOL: np.dtype[Any] = np.dtype(np.bool_)
_NO_STAMP = -1
# Below this many, symbols that are gone are not looked for.
_FEW_SYMBOLS = 4096
# In a key, a partition's number has 20 bits, and a resolution's index 16. A time in ms has 42.
_PARTITION_BITS, _RESOLUTION_BITS = 20, 16


def _series(columns: Columns) -> Ints:
    series: Ints = columns["symbol"] << 32 | columns["source"]
    return series


def keys_of_slices(columns: Columns) -> tuple[Ints, Ints]:
    """Return the halves of the keys of slices in their table, from their columns."""
    return _series(columns), columns["slice_ms"] << _PARTITION_BITS | columns["partition"]


def keys_of_windows(columns: Columns) -> tuple[Ints, Ints]:
    """Return the halves of the keys of windows in their table, from their columns."""
    start_ms = columns["end_ms"] - columns["width_ms"]
    return _series(columns), start_ms << _RESOLUTION_BITS | columns["resolution"]


class Tables:
    """Open windows and the slices that aren't folded into them yet, of one topic and all shards of a worker.

    Attributes
    ----------
    slices
        The slices. ``places`` has the rows of the windows that a slice isn't folded into yet: for each resolution, the
        window of its source, then for each resolution the window of all sources; -1 for none. A joint window, see
        `tables.joint`, is only among those of all sources.
    windows
        The windows, with the partials of the slices that are folded. ``whole`` is, for a source's window, the row of
        the window of all sources that it is a share of. ``only``, ``only_dirty`` and ``only_final`` are of joint
        windows.
    names
        The sources by code; code 0 is all sources together.
    symbols
        The symbols by code. Codes of symbols that are gone are reused by `forget_symbols`.
    """

    def __init__(self, windowing: Windowing) -> None:
        places = np.dtype((np.int64, (2 * len(windowing.resolutions),)))
        self.resolutions = list(windowing.resolutions)
        self.slices = Table(
            windowing.slicing.aggregate.schema
            | dict.fromkeys(("offset", "slice_ms", "partition", "source", "symbol", "shard"), (INT, 0))
            | {"stamp": (INT, _NO_STAMP), "places": (places, NO_ROW)}
        )
        self.windows = Table(
            windowing.aggregate.schema
            | dict.fromkeys(("end_ms", "width_ms", "resolution", "shard", "source", "symbol"), (INT, 0))
            | {"whole": (INT, NO_ROW), "only": (INT, 0), "only_dirty": (BOOL, False), "only_final": (BOOL, False)}
            | {"offset": (INT, np.iinfo(np.int64).max), "dirty": (BOOL, False), "final": (BOOL, False)}
        )
        self.names = Names()
        self.names[ALL]
        self.symbols = Names()
        self._most_symbols = _FEW_SYMBOLS

    def window_keys(self, rows: Ints, source_codes: Ints) -> WindowKeys:
        """Return the keys of windows, given their rows and the codes of their sources."""
        stored = self.windows.columns
        return WindowKeys(
            Coded(self.symbols.names, stored["symbol"][rows]),
            Coded(self.names.names, source_codes),
            Coded(self.resolutions, stored["resolution"][rows]),
            stored["end_ms"][rows] - stored["width_ms"][rows],
        )

    def slice_keys(self, rows: Ints) -> list[SliceKey]:
        """Return the keys of slices."""
        return slice_keys(self.slices.columns, rows, self.names.names, self.symbols.names)

    def forget_symbols(self) -> None:
        """Forget the symbols that no window and no slice has, if they may be half of all: then all codes change."""
        if len(self.symbols.names) <= self._most_symbols:
            return
        before, self.symbols = self.symbols.names, Names()
        for table, keys in ((self.slices, keys_of_slices), (self.windows, keys_of_windows)):
            live = table.live()
            column = table.columns["symbol"]
            column[live] = self.symbols.codes([before[code] for code in column[live].tolist()])
            table.rename(*keys(table.columns_at(live)))
        self._most_symbols = max(_FEW_SYMBOLS, 2 * len(self.symbols.names))

    def by_source(self, times_ms: dict[str, int]) -> Ints:
        """Return the times by the sources' codes, ms; NEVER_MS for a source without one."""
        return np.array([times_ms.get(name, NEVER_MS) for name in self.names.names])

    def sources_of(self, shard: int) -> set[str]:
        """Return the sources of a shard's slices and windows."""
        in_use = ((self.slices, "source"), (self.windows, "source"), (self.windows, "only"))
        codes = [
            table.columns[name][rows[table.columns["shard"][rows] == shard]]
            for table, name in in_use
            for rows in (table.live(),)
        ]
        return {self.names.names[code] for code in np.unique(np.concatenate(codes)).tolist()}

    def release_windows(self, rows: Ints) -> None:
        """Forget windows. No window is a share of them any more."""
        whole = self.windows.columns["whole"]
        gone = np.zeros(len(whole) + 1, np.bool_)
        gone[rows] = True
        whole[gone[whole]] = NO_ROW
        self.windows.release(rows)

    def needed_offset(self, shard: int, read: int) -> int:
        """Return the offset from which the next owner has to read for the open windows, at most ``read``."""
        offsets = [read]
        for table in (self.slices, self.windows):
            rows = table.live()
            rows = rows[table.columns["shard"][rows] == shard]
            if len(rows):
                offsets.append(int(table.columns["offset"][rows].min()))
        return min(offsets)

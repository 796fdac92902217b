"""Recursions over final windows: each result follows from the one before it, and goes with it when it is corrected."""

import numpy as np

from stream.engine.aggregate import INT
from stream.engine.block import Ints
from stream.engine.recipe import Recursion
from stream.engine.series import Follower, Place, Series, dtypes_of
from stream.engine.table import Columns
from stream.errors import ConfigError

#: Windows since the last gap, where there has been none.
_EVER = 1 << 40


class RecursionFollower(Follower):
    """Follows the windows of a recursion's series; of those that can't be corrected it keeps the last.

    Parameters
    ----------
    recursion
        What to do with each.
    resolutions
        Of which windows.

    Raises
    ------
    ConfigError
        There are no windows of such a resolution.
    """

    def __init__(self, recursion: Recursion, resolutions: tuple[str, ...]) -> None:
        widths = recursion.of.resolutions
        for resolution in resolutions:
            if resolution not in widths:
                raise ConfigError(
                    f"{recursion.output.name}: {recursion.of.sink.name} has no resolution {resolution}; it has "
                    f"{', '.join(widths)}; see the setting `resolutions`"
                )
        super().__init__(
            recursion.output,
            {resolution: widths[resolution] for resolution in resolutions},
            dtypes_of(recursion.of, recursion.takes)
            | {"revision": (INT, 0), "incomplete": (np.dtype(np.bool_), False)},
            {f"_{name}": column for name, column in recursion.state.items()} | {"events": (INT, 0), "clean": (INT, 0)},
        )
        self._recursion = recursion

    def _step(self, places: list[Place], rows: Ints, before: Ints) -> Columns:
        held, first = self._arena.columns, before < 0
        state: Columns = {}
        for name, (_, start) in self._recursion.state.items():
            column = state[name] = held[f"_{name}"][before]
            column[first] = start
        taken = {name: held[name][rows] for name in self._recursion.takes}
        made = self._recursion.step(state, taken | {"passed": _passed(places)})
        for name, column in state.items():
            held[f"_{name}"][rows] = column
        held["events"][rows] = np.where(first, 0, held["events"][before]) + held["revision"][rows]
        clean = np.where(first, self._clean(places), held["clean"][before] + 1)
        clean[held["incomplete"][rows]] = 0
        held["clean"][rows] = clean
        told = np.zeros(len(rows), np.bool_)
        for column in made.values():
            told |= ~np.isnan(column)
        marks = {"revision": held["events"][rows], "incomplete": clean < self._recursion.memory, "told": told}
        return taken | made | marks

    def _clean(self, places: list[Place]) -> Ints:
        """Return how many windows there have been since what was before was lost."""
        return np.array([0 if self._anew[series.shard] else _EVER for series, _ in places], np.int64)

    def _spent(self, series: Series, settled_ms: int) -> int:
        # The window after the first is past correcting, and so takes its place.
        starts_ms, spent = series.starts_ms, 0
        while spent + 1 < len(starts_ms) and starts_ms[spent + 1] + series.width_ms <= settled_ms:
            spent += 1
        return spent


def _passed(places: list[Place]) -> Ints:
    """Return how many windows on each is from the one before it, 0 where there is none."""
    steps = [(series.starts_ms[at] - series.starts_ms[at - 1]) // series.width_ms if at else 0 for series, at in places]
    return np.array(steps, np.int64)

"""Recursions over final windows: each window changes a state, so a correction changes all later results."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries
from tickertape.stream.engine.derived.series import Place, Series, dtypes_of
from tickertape.stream.errors import ConfigError

#: The number of windows since the last gap, if there was none.
EVER = 1 << 40


class StatefulSeries(CorrectableSeries[Series]):
    """Carries a state from window to window. Of the windows that can't be corrected any more, it keeps the newest.

    Parameters
    ----------
    outputs, widths, takes
        See `CorrectableSeries`.
    state
        The columns of the state, with their initial values.
    memory
        See `Recursion`.
    keeps
        Further columns to keep of each window.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        widths: Mapping[str, int],
        takes: Schema,
        state: Schema,
        memory: int,
        keeps: Schema | None = None,
    ) -> None:
        super().__init__(
            outputs,
            widths,
            {**takes, "revision": (INT, 0), "incomplete": (np.dtype(np.bool_), False)},
            {f"_{name}": column for name, column in state.items()}
            | {"events": (INT, 0), "clean": (INT, 0), **(keeps or {})},
        )
        self._state = state
        self._memory = memory
        self._metrics = tuple(takes)

    @abstractmethod
    def _advance(self, state: Columns, taken: Columns, places: list[Place[Series]], rows: Ints) -> Columns:
        """Change the states in place; return what `CorrectableSeries._step` returns."""

    def _step(self, places: list[Place[Series]], rows: Ints, before: Ints) -> Columns:
        stored, first = self._arena.columns, before < 0
        state: Columns = {}
        for name, (_, start) in self._state.items():
            column = state[name] = stored[f"_{name}"][before]
            column[first] = start
        made = self._advance(state, {name: stored[name][rows] for name in self._metrics}, places, rows)
        for name, column in state.items():
            stored[f"_{name}"][rows] = column
        stored["events"][rows] = np.where(first, 0, stored["events"][before]) + stored["revision"][rows]
        ever = np.array([0 if self._anew[series.shard] else EVER for series, _ in places], np.int64)
        clean = np.where(first, ever, stored["clean"][before] + 1)
        clean[stored["incomplete"][rows]] = 0
        stored["clean"][rows] = clean
        return made | {"revision": stored["events"][rows], "incomplete": clean < self._memory}

    def _new_series(self, shard: int, key: tuple[str, str, str]) -> Series:
        return Series(shard, key, self.widths[key[2]])

    def _n_obsolete(self, series: Series, settled_ms: int) -> int:
        # The first window isn't needed if the one after it can't be corrected any more.
        starts_ms, obsolete = series.starts_ms, 0
        while obsolete + 1 < len(starts_ms) and starts_ms[obsolete + 1] + series.width_ms <= settled_ms:
            obsolete += 1
        return obsolete


class RecursionSeries(StatefulSeries):
    """Follows final windows by a recursion.

    Parameters
    ----------
    recursion
        The recipe.
    resolutions
        The resolutions of the windows to follow.

    Raises
    ------
    ConfigError
        The windows don't have such a resolution.
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
            [recursion.output],
            {resolution: widths[resolution] for resolution in resolutions},
            dtypes_of(recursion.of, recursion.takes),
            recursion.state,
            recursion.memory,
        )
        self._recursion = recursion

    def _advance(self, state: Columns, taken: Columns, places: list[Place[Series]], rows: Ints) -> Columns:
        made = self._recursion.step(state, taken | {"passed": passed(places)})
        publish = np.zeros(len(rows), np.bool_)
        for column in made.values():
            publish |= ~np.isnan(column)
        return taken | made | {"publish": publish}


def passed(places: list[Place[Series]]) -> Ints:
    """Return how many windows after the previous one each window is; 0 for the first."""
    steps = [(series.starts_ms[at] - series.starts_ms[at - 1]) // series.width_ms if at else 0 for series, at in places]
    return np.array(steps, np.int64)

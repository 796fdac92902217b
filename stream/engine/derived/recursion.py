"""Recursions over final windows: each result follows from the one before it, and goes with it when it is corrected."""

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries, Place, Series, dtypes_of
from tickertape.stream.errors import ConfigError

#: Windows since the last gap, where there has been none.
_EVER = 1 << 40


class StatefulSeries(CorrectableSeries):
    """Carries a state from window to window; of those that can't be corrected it keeps the last.

    Parameters
    ----------
    output, widths, takes
        See `CorrectableSeries`.
    state
        What it carries, and what that starts from.
    memory
        See `Recursion`.
    keeps
        What it keeps beside that.
    """

    def __init__(
        self,
        output: Output,
        widths: Mapping[str, int],
        takes: Schema,
        state: Schema,
        memory: int,
        keeps: Schema | None = None,
    ) -> None:
        super().__init__(
            output,
            widths,
            {**takes, "revision": (INT, 0), "incomplete": (np.dtype(np.bool_), False)},
            {f"_{name}": column for name, column in state.items()}
            | {"events": (INT, 0), "clean": (INT, 0), **(keeps or {})},
        )
        self._state = state
        self._memory = memory
        self._metrics = tuple(takes)

    @abstractmethod
    def _advance(self, state: Columns, taken: Columns, places: list[Place], rows: Ints) -> Columns:
        """Change states in place; return fields of results, and ``told``; see `CorrectableSeries._step`."""

    def _step(self, places: list[Place], rows: Ints, before: Ints) -> Columns:
        held, first = self._arena.columns, before < 0
        state: Columns = {}
        for name, (_, start) in self._state.items():
            column = state[name] = held[f"_{name}"][before]
            column[first] = start
        made = self._advance(state, {name: held[name][rows] for name in self._metrics}, places, rows)
        for name, column in state.items():
            held[f"_{name}"][rows] = column
        held["events"][rows] = np.where(first, 0, held["events"][before]) + held["revision"][rows]
        ever = np.array([0 if self._anew[series.shard] else _EVER for series, _ in places], np.int64)
        clean = np.where(first, ever, held["clean"][before] + 1)
        clean[held["incomplete"][rows]] = 0
        held["clean"][rows] = clean
        return made | {"revision": held["events"][rows], "incomplete": clean < self._memory}

    def _spent(self, series: Series, settled_ms: int) -> int:
        # The window after the first is past correcting, and so takes its place.
        starts_ms, spent = series.starts_ms, 0
        while spent + 1 < len(starts_ms) and starts_ms[spent + 1] + series.width_ms <= settled_ms:
            spent += 1
        return spent


class RecursionSeries(StatefulSeries):
    """DerivedRecipe the windows of a recursion's series.

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
            dtypes_of(recursion.of, recursion.takes),
            recursion.state,
            recursion.memory,
        )
        self._recursion = recursion

    def _advance(self, state: Columns, taken: Columns, places: list[Place], rows: Ints) -> Columns:
        made = self._recursion.step(state, taken | {"passed": _passed(places)})
        told = np.zeros(len(rows), np.bool_)
        for column in made.values():
            told |= ~np.isnan(column)
        return taken | made | {"told": told}


def _passed(places: list[Place]) -> Ints:
    """Return how many windows on each is from the one before it, 0 where there is none."""
    steps = [(series.starts_ms[at] - series.starts_ms[at - 1]) // series.width_ms if at else 0 for series, at in places]
    return np.array(steps, np.int64)

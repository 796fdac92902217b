"""Windows that slide along final windows. Each costs three merges, however wide it is [1]_.

Time is cut into blocks as wide as the sliding window. The window consists of the end of one block and the beginning of
the next, and is the merge of two folds:

- from the window's start to the end of the block. These folds are made from back to front, once the block is over;
- from the start of the next block on. This fold is extended by each final window that arrives.

A block starts at a multiple of its width in event time. So the order of all merges, and with it the last bit of a
float, depends only on the log.

.. [1] van Herk (1992), "A fast algorithm for local minimum and maximum filters on rectangular and octagonal kernels".
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import Finals, Output
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Rolling
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries, Place, Series, dtypes_of
from tickertape.stream.errors import ConfigError


class RollingSeries(CorrectableSeries):
    """Makes windows that slide. Of each series it keeps the final windows that the widest one may still include.

    Parameters
    ----------
    rolling
        The recipe.
    rolling_ms
        See `Settings`.

    Raises
    ------
    ConfigError
        A width isn't a multiple of the finest resolution.
    """

    _untracked_size = 1 << 62

    def __init__(self, rolling: Rolling, rolling_ms: Mapping[str, int]) -> None:
        resolution, step_ms = min(rolling.of.resolutions.items(), key=lambda one: one[1])
        for name, width_ms in rolling_ms.items():
            if width_ms % step_ms:
                raise ConfigError(
                    f"setting: rolling_ms.{name} is {width_ms}: it has to be a multiple of {step_ms} ms, the finest "
                    f"resolution of {rolling.of.sink.name}"
                )
        start: dict[str, tuple[np.dtype[Any], Any]] = {
            name: (np.dtype((dtype, (len(rolling_ms),))), start)
            for name, (dtype, start) in rolling.aggregate.schema.items()
        }
        super().__init__(
            Output(rolling.sink.name, rolling.kind, _result(rolling, rolling_ms)),
            {resolution: step_ms},
            dtypes_of(rolling.of, rolling.takes) | {"incomplete": (np.dtype(np.bool_), False)},
            {"spoiled_ms": (INT, NEVER_MS)},
            {f"_{name}": column for name, column in start.items()},
            rolling.of.aggregate.optional,
        )
        self._rolling = rolling
        self._names = list(rolling_ms)
        self._wide_ms = np.array(list(rolling_ms.values()), np.int64)
        self._widest_ms = int(self._wide_ms.max())
        self._step_ms = step_ms
        # The start of each series' newest computed window, ms; empty after a snapshot was restored.
        self._last_ms: dict[Series, int] = {}

    @property
    def form(self) -> str:
        return f"{super().form} {self._wide_ms.tolist()}"

    def _relevant(self, finals: Finals) -> Ints:
        relevant = super()._relevant(finals)
        # Filled windows have no events, so they add nothing.
        return relevant[finals.columns["revision"][relevant] > 0] if len(relevant) else relevant

    def _n_obsolete(self, series: Series, settled_ms: int) -> int:
        return bisect_left(series.starts_ms, settled_ms - self._widest_ms)

    def _flat(self) -> Columns:
        """Return the columns of folds with one axis: row by row, and within a row by width."""
        return {name: self._arena.columns[f"_{name}"].reshape(-1) for name in self._rolling.aggregate.schema}

    def _lifted(self, rows: Ints) -> Columns:
        stored = self._arena.columns
        return self._rolling.aggregate.lift({name: stored[name][rows] for name in self._rolling.takes})

    def _prepare(self, changed: Mapping[Series, int]) -> None:
        """Make the folds before a changed window again: windows computed after it may have replaced them."""
        whole: list[tuple[Series, int, int, int]] = []
        ended: list[tuple[Series, int, int, int]] = []
        for series, at in changed.items():
            starts_ms = series.starts_ms
            if at and self._last_ms.get(series, starts_ms[at]) >= starts_ms[at]:
                for k, width_ms in enumerate(self._wide_ms.tolist()):
                    begins_ms = starts_ms[at - 1] - starts_ms[at - 1] % width_ms
                    first = bisect_left(starts_ms, begins_ms, 0, at)
                    whole.append((series, k, first, at))
                    ended.append((series, k, bisect_left(starts_ms, begins_ms - width_ms, 0, first), first))
            self._last_ms[series] = starts_ms[-1]
        if whole:
            self._fold(whole)
            self._fold_back(ended)

    def _fold(self, spans: list[tuple[Series, int, int, int]]) -> None:
        """Fold each span of windows from front to back, into the row of its last window."""
        n, flat = len(self._wide_ms), self._flat()
        rows = np.array([row for series, _, first, end in spans for row in series.rows[first:end]], np.int64)
        into = np.array([series.rows[end - 1] * n + k for series, k, _, end in spans], np.int64)
        parts = self._lifted(rows)
        for name, (_, start) in self._rolling.aggregate.schema.items():
            flat[name][into] = start
        self._rolling.aggregate.merge(flat, np.repeat(into, [end - first for _, _, first, end in spans]), parts)

    def _fold_back(self, spans: list[tuple[Series, int, int, int]]) -> None:
        """Fold each span of windows from back to front: each row gets the fold of its window and all after it."""
        n, flat, schema = len(self._wide_ms), self._flat(), self._rolling.aggregate.schema
        after: Ints = np.empty(0, np.int64)
        left = [span for span in spans if span[2] < span[3]]
        back = 1
        while left:
            rows = np.array([series.rows[end - back] for series, _, _, end in left], np.int64)
            into = rows * n + np.array([k for _, k, _, _ in left], np.int64)
            parts = self._lifted(rows)
            for name in schema:
                flat[name][into] = parts[name]
            if back > 1:
                self._rolling.aggregate.merge(flat, into, {name: flat[name][after] for name in schema})
            stays = [end - back > first for _, _, first, end in left]
            left, after = [span for span, more in zip(left, stays, strict=True) if more], into[stays]
            back += 1

    def _step(self, places: list[Place], rows: Ints, before: Ints) -> Columns:
        n, schema, aggregate = len(self._wide_ms), self._rolling.aggregate.schema, self._rolling.aggregate
        start_ms = np.array([series.starts_ms[at] for series, at in places])[:, None]
        last_ms = np.array([series.starts_ms[at - 1] if at else NEVER_MS for series, at in places])[:, None]
        begins_ms = start_ms - start_ms % self._wide_ms
        goes_on = last_ms >= begins_ms
        self._end_blocks(places, ~goes_on & (last_ms >= begins_ms - self._wide_ms), begins_ms)
        # The fold from the block's start on.
        flat = self._flat()
        mine = (rows[:, None] * n + np.arange(n)).ravel()
        earlier = np.where(goes_on, before[:, None] * n + np.arange(n), 0).ravel()
        goes_on = goes_on.ravel()
        for name, (_, start) in schema.items():
            flat[name][mine] = np.where(goes_on, flat[name][earlier], start)
        aggregate.merge(flat, mine, {name: np.repeat(column, n) for name, column in self._lifted(rows).items()})
        # Before it, the fold from the window's start to the end of the previous block.
        ends = self._ends(places, start_ms + self._step_ms - self._wide_ms, begins_ms)
        partials: Columns = {}
        for name, (_, start) in schema.items():
            partials[name] = np.where(ends >= 0, flat[name][ends], start)
        aggregate.merge(partials, np.arange(len(mine)), {name: flat[name][mine] for name in schema})
        return self._metrics(partials, len(rows)) | self._marks(places, rows, before, start_ms.ravel())

    def _end_blocks(self, places: list[Place], over: Any, begins_ms: Any) -> None:
        """Fold the blocks that end before these windows, from back to front."""
        spans = []
        for i, k in zip(*np.nonzero(over), strict=True):
            series, at = places[i]
            first_ms = max(
                int(begins_ms[i, k] - self._wide_ms[k]), series.starts_ms[at] + self._step_ms - int(self._wide_ms[k])
            )
            spans.append((series, int(k), bisect_left(series.starts_ms, first_ms, 0, at), at))
        if spans:
            self._fold_back(spans)

    def _ends(self, places: list[Place], first_ms: Any, begins_ms: Any) -> Ints:
        """Return, by place and width, the index of the fold from the window's start to the previous block's end.

        It is -1 if no final window is there.
        """
        n, found = len(self._wide_ms), []
        for (series, at), firsts_ms, blocks_ms in zip(places, first_ms.tolist(), begins_ms.tolist(), strict=True):
            starts_ms, rows = series.starts_ms, series.rows
            for k, (one_ms, block_ms) in enumerate(zip(firsts_ms, blocks_ms, strict=True)):
                first = bisect_left(starts_ms, one_ms, 0, at) if one_ms < block_ms else at
                found.append(rows[first] * n + k if starts_ms[first] < block_ms else -1)
        return np.array(found, np.int64)

    def _metrics(self, partials: Columns, rows: int) -> Columns:
        n = len(self._names)
        made = self._rolling.aggregate.finish(partials)
        columns = {
            f"{field}_{name}": made[field].reshape(rows, n)[:, k]
            for field in self._rolling.metrics.__struct_fields__
            for k, name in enumerate(self._names)
        }
        widest = int(self._wide_ms.argmax())
        return columns | {"revision": partials[self._rolling.revision].reshape(rows, n)[:, widest]}

    def _marks(self, places: list[Place], rows: Ints, before: Ints, start_ms: Ints) -> Columns:
        """Return which windows are incomplete: those that include an incomplete one, or reach into a lost past."""
        stored = self._arena.columns
        anew = np.array([self._anew[series.shard] for series, _ in places])
        at_first_ms = np.where(anew, start_ms - self._step_ms, NEVER_MS)
        spoiled_ms = np.where(before >= 0, stored["spoiled_ms"][before], at_first_ms)
        spoiled_ms = np.where(stored["incomplete"][rows], start_ms, spoiled_ms)
        stored["spoiled_ms"][rows] = spoiled_ms
        incomplete = spoiled_ms >= start_ms + self._step_ms - self._widest_ms
        return {"incomplete": incomplete, "publish": np.ones(len(rows), np.bool_)}


def _result(rolling: Rolling, rolling_ms: Mapping[str, int]) -> type[msgspec.Struct]:
    """Return the Struct of results, with each metric once for every width."""
    fields: list[Any] = [("symbol", str), ("source", str), ("resolution", str), ("start_ms", int)]
    metrics = msgspec.structs.fields(rolling.metrics)
    fields += [(f"{metric.name}_{width}", metric.type) for width in rolling_ms for metric in metrics]
    fields += [("final", bool), ("revision", int), ("incomplete", bool)]
    return msgspec.defstruct(
        rolling.metrics.__name__,
        fields,
        frozen=True,
        tag_field="kind",
        tag=rolling.kind,
        namespace={"__doc__": rolling.metrics.__doc__},
    )

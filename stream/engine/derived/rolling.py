"""Windows that slide along final windows: merged from the windows at their edges, and from folds of what is between.

Event time is cut into blocks of `BLOCK_MS`. A sliding window is the merge, from left to right, of

- its tail: the final windows before the blocks of its middle, one by one;
- its middle: the blocks that it includes wholly while its end moves through one block;
- its head: the fold of the final windows of the block in which it ends.

The middle stays the same for a block's time, and the head is extended by each final window that arrives. So a result
costs the merges of its tail, and two more. Where blocks begin depends on event time alone, and so does the order of all
merges, and with it the last bit of a float.
"""

from bisect import bisect_left, bisect_right
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
from tickertape.stream.engine.derived.block_folds import BlockFolds, Slid
from tickertape.stream.engine.derived.correctable_series import CorrectableSeries
from tickertape.stream.engine.derived.joint import Joint
from tickertape.stream.engine.derived.series import Place, dtypes_of
from tickertape.stream.engine.recovery.state import Kept
from tickertape.stream.errors import ConfigError

_BOOL, _MARKS = np.dtype(np.bool_), np.dtype(np.int8)
# In the column of marks: the window is incomplete; it is the first one of a series whose past is lost.
_INCOMPLETE, _FIRST = 1, 2


class RollingSeries(CorrectableSeries[Slid]):
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
    _stores_once = True

    def __init__(self, rolling: Rolling, rolling_ms: Mapping[str, int]) -> None:
        resolution, step_ms = min(rolling.of.resolutions.items(), key=lambda one: one[1])
        for name, width_ms in rolling_ms.items():
            if width_ms % step_ms:
                raise ConfigError(
                    f"setting: rolling_ms.{name} is {width_ms}: it has to be a multiple of {step_ms} ms, the finest "
                    f"resolution of {rolling.of.sink.name}"
                )
        self._columns = dtypes_of(rolling.of, rolling.takes)
        super().__init__(
            [Output(rolling.sink.name, rolling.kind, _result(rolling, rolling_ms))],
            {resolution: step_ms},
            self._columns,
            {"marks": (_MARKS, 0)},
            rolling.of.aggregate.optional,
        )
        self.takes = (*rolling.takes, "incomplete")
        self._joint = Joint(self.takes, self._inputs)
        self._rolling = rolling
        self._names = list(rolling_ms)
        self._wide_ms = list(rolling_ms.values())
        self._widest_ms = max(self._wide_ms)
        self._step_ms = step_ms
        self._folds = BlockFolds(rolling.aggregate, self._lifted, self._wide_ms, step_ms)

    @property
    def form(self) -> str:
        return f"{super().form} {self._wide_ms}"

    @property
    def earlier_form(self) -> str:
        # Folds aren't in a snapshot, so it doesn't matter how the earlier version made them.
        kept = self._columns | {"incomplete": (_BOOL, False), "spoiled_ms": (INT, NEVER_MS)}
        return f"{self._form_of(kept)} {self._wide_ms}"

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> list[str]:
        return super().assign(shard, _with_marks(kept, self._step_ms) if kept else None, anew=anew)

    def _restored(self, shard: int) -> None:
        for series in self._series[shard].values():
            self._note_spoiled(series)

    def _new_series(self, shard: int, key: tuple[str, str, str]) -> Slid:
        return Slid(shard, key, self._step_ms)

    def _copied(self, copy: Slid) -> None:
        self._note_spoiled(copy)

    def _inputs(self, rows: Ints) -> Columns:
        stored = self._arena.columns
        return {name: stored[name][rows] for name in self._columns} | {
            "incomplete": (stored["marks"][rows] & _INCOMPLETE).astype(np.bool_)
        }

    def _relevant(self, finals: Finals) -> Ints:
        relevant = super()._relevant(finals)
        # Filled windows have no events, so they add nothing.
        return relevant[finals.columns["revision"][relevant] > 0] if len(relevant) else relevant

    def _take(self, rows: Ints, columns: Columns, placed: list[tuple[Slid, int]]) -> None:
        marks = np.where(columns["incomplete"], _INCOMPLETE, 0)
        if any(self._anew.values()):
            first = [self._anew[one.shard] and one.starts_ms[0] == start_ms for one, start_ms in placed]
            marks[first] |= _FIRST
        super()._take(rows, {name: columns[name] for name in self._columns} | {"marks": marks}, placed)
        for i, (series, _) in enumerate(placed):
            if marks[i] or series.spoiled_ms:
                self._note_spoiled(series)

    def _note_spoiled(self, series: Slid) -> None:
        """Store the times that make results incomplete which reach back to them."""
        series.spoiled_ms = ()
        marks = self._arena.columns["marks"][series.rows]
        if marks.any():
            starts_ms = np.frombuffer(series.starts_ms, np.int64)
            times_ms = [starts_ms[marks & _FIRST > 0] - self._step_ms, starts_ms[marks & _INCOMPLETE > 0]]
            series.spoiled_ms = np.unique(np.concatenate(times_ms)).tolist()

    def _n_obsolete(self, series: Slid, settled_ms: int) -> int:
        return bisect_left(series.starts_ms, settled_ms - self._widest_ms)

    def _dropped(self, series: Slid) -> None:
        self._folds.drop(series)

    def _lifted(self, rows: Ints) -> Columns:
        stored = self._arena.columns
        return self._rolling.aggregate.lift({name: stored[name][rows] for name in self._columns})

    def _prepare(self, changed: Mapping[Slid, int]) -> None:
        """Fold again what windows computed after a changed one have been folded into."""
        self._folds.rewind(changed)

    def _step(self, places: list[Place[Slid]], rows: Ints, before: Ints) -> Columns:  # noqa: ARG002 - folds have it
        partials = self._folds.advance(places, rows)
        return self._metrics(partials, len(rows)) | {
            "incomplete": self._incomplete(places),
            "publish": np.ones(len(rows), np.bool_),
        }

    def _metrics(self, partials: Columns, rows: int) -> Columns:
        n = len(self._names)
        made = self._rolling.aggregate.finish(partials)
        columns = {
            f"{field}_{name}": made[field].reshape(rows, n)[:, k]
            for field in self._rolling.metrics.__struct_fields__
            for k, name in enumerate(self._names)
        }
        widest = self._wide_ms.index(self._widest_ms)
        return columns | {"revision": partials[self._rolling.revision].reshape(rows, n)[:, widest]}

    def _incomplete(self, places: list[Place[Slid]]) -> Any:
        """Return which windows are incomplete: those that include an incomplete one, or reach into a lost past."""
        incomplete = np.zeros(len(places), np.bool_)
        for i, (series, at) in enumerate(places):
            if series.spoiled_ms:
                start_ms = series.starts_ms[at]
                newest = bisect_right(series.spoiled_ms, start_ms)
                first_ms = start_ms + self._step_ms - self._widest_ms
                incomplete[i] = newest > 0 and series.spoiled_ms[newest - 1] >= first_ms
        return incomplete


def _with_marks(kept: Kept, step_ms: int) -> Kept:
    """Return a state with marks; an earlier version kept, for each window, the newest time before it that spoils."""
    if "spoiled_ms" not in kept.columns:
        return kept
    starts_ms, spoiled_ms = np.frombuffer(kept.starts, np.int64), np.frombuffer(kept.columns["spoiled_ms"], np.int64)
    marks = np.where(spoiled_ms == starts_ms, _INCOMPLETE, 0) | np.where(spoiled_ms == starts_ms - step_ms, _FIRST, 0)
    return msgspec.structs.replace(kept, columns=kept.columns | {"marks": marks.astype(_MARKS).tobytes()})


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

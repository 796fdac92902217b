"""Follows the final windows of each series, and computes again what a correction changes."""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import NOTHING, Finals, Output, ResultBlock, ResultWriter
from tickertape.stream.engine.core.table import NO_ROW, Columns, Schema, grow
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.post_processor import Times
from tickertape.stream.engine.recovery.state import Kept

_DTYPES: dict[Any, np.dtype[Any]] = {int: INT, bool: np.dtype(np.bool_)}


@dataclass(slots=True, eq=False)
class Series:
    """The kept windows of one symbol, source and resolution, in time order; each has a row in an `Arena`."""

    shard: int
    key: tuple[str, str, str]
    width_ms: int
    starts_ms: "array[int]" = field(default_factory=lambda: array("q"))
    rows: "array[int]" = field(default_factory=lambda: array("q"))

    def insert(self, start_ms: int, row: int) -> tuple[int, int | None]:
        """Insert or replace a window; return its index, and the row of the window that it replaced, or None."""
        starts_ms = self.starts_ms
        if not starts_ms or start_ms > starts_ms[-1]:
            starts_ms.append(start_ms)
            self.rows.append(row)
            return len(starts_ms) - 1, None
        at = bisect_left(starts_ms, start_ms)
        if starts_ms[at] == start_ms:
            old, self.rows[at] = self.rows[at], row
            return at, old
        starts_ms.insert(at, start_ms)
        self.rows.insert(at, row)
        return at, None

    def drop(self, n: int) -> "array[int]":
        """Forget the first n windows; return their rows."""
        rows = self.rows[:n]
        del self.starts_ms[:n], self.rows[:n]
        return rows


#: A window: its series, and its index among the kept windows.
Place: TypeAlias = tuple[Series, int]


class Arena:
    """Columns whose rows are taken and released by number. They grow by half; a row that is taken has old contents."""

    def __init__(self, schema: Schema, capacity: int = 64) -> None:
        self.columns: Columns = {name: np.full(capacity, start, dtype) for name, (dtype, start) in schema.items()}
        self._schema = schema
        self._capacity = capacity
        self._free = array("q", range(capacity))

    def __len__(self) -> int:
        """Return the number of rows in use."""
        return self._capacity - len(self._free)

    def has_room(self, n: int) -> bool:
        return n <= len(self._free)

    def grow(self, n: int) -> None:
        """Grow until n rows are free, and an eighth of all rows besides."""
        while not self.has_room(n + self._capacity // 8):
            more = grow(self.columns, self._schema, self._capacity)
            self._free.extend(range(self._capacity, self._capacity + more))
            self._capacity += more

    def rows(self, n: int) -> "array[int]":
        """Take n free rows; return their numbers."""
        if not self.has_room(n):
            self.grow(n)
        cut = len(self._free) - n
        rows = self._free[cut:]
        del self._free[cut:]
        return rows

    def release(self, rows: Iterable[int]) -> None:
        self._free.extend(rows)


def dtypes_of(windowing: Windowing, names: Iterable[str]) -> dict[str, tuple[np.dtype[Any], Any]]:
    """Return the types and initial values of columns of windows, which may be partials or metrics."""
    types = {one.name: _DTYPES.get(one.type, FLOAT) for one in msgspec.structs.fields(windowing.result)}
    return {
        name: (windowing.aggregate.schema[name][0] if name in windowing.aggregate.schema else types[name], 0)
        for name in names
    }


class CorrectableSeries(ABC):
    """Follows final windows, for all shards of a worker.

    Of each series it keeps the windows that may be corrected, with the state after each, and as many windows before
    them as it needs. A window that is new or corrected is put in its place in time, and it and all later windows are
    computed again.

    Parameters
    ----------
    output
        The output that it makes.
    widths
        The widths of the resolutions that it follows, ms, by name.
    takes, keeps
        The columns that it takes of windows, and those that it keeps besides.
    derived
        Columns that a snapshot doesn't have, because they are computed from the others.
    optional
        Columns that a snapshot may lack; they are zero then. See `Aggregate`.
    """

    def __init__(
        self,
        output: Output,
        widths: Mapping[str, int],
        takes: Schema,
        keeps: Schema,
        derived: Schema | None = None,
        optional: Collection[str] = (),
    ) -> None:
        self._optional = optional
        self.output = output
        self.takes = tuple(takes)
        self.widths = dict(widths)
        self._widths_ms = np.array(list(widths.values()), np.int64)
        self._kept = {**takes, **keeps}
        self._arena = Arena({**self._kept, **(derived or {})})
        self._series: dict[int, dict[tuple[str, str, str], Series]] = {}
        self._anew: dict[int, bool] = {}
        # Series that may have obsolete windows later, even if no window of theirs arrives.
        self._tracked: set[Series] = set()
        self._writer = ResultWriter(output)

    #: A series with at most this many windows isn't looked at until a window of it arrives.
    _untracked_size = 1

    @abstractmethod
    def _step(self, places: list[Place], rows: Ints, before: Ints) -> Columns:
        """Compute one window of each of n series.

        Parameters
        ----------
        places, rows
            The windows, and their rows, shape (n,).
        before
            The row of the window before each, shape (n,), -1 for none.

        Returns
        -------
        Columns
            The fields of the results, and ``publish``, False for a window without a result; shape (n,).
        """

    @abstractmethod
    def _n_obsolete(self, series: Series, settled_ms: int) -> int:
        """Return how many windows at the start of a series aren't needed any more."""

    def _prepare(self, changed: Mapping[Series, int]) -> None:  # noqa: B027 - most have nothing to prepare
        """Prepare to compute series again, each from the given index on."""

    @property
    def form(self) -> str:
        """Identifies the columns of a state. A snapshot's state is restored only if its form is the same."""
        columns = [
            (name, dtype.str, dtype.shape) for name, (dtype, _) in self._kept.items() if name not in self._optional
        ]
        return f"{self.output.name} {sorted(self.widths.items())} {columns}"

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> None:
        """Start with a shard.

        Parameters
        ----------
        kept
            The state in a snapshot, or None.
        anew
            Without a snapshot: whether the shard has a past that is lost.
        """
        self._anew[shard] = kept.anew if kept else anew
        mine = self._series[shard] = {}
        if kept is None:
            return
        rows = self._arena.rows(sum(n for *_, n in kept.series))
        for name, (dtype, _) in self._kept.items():
            stored = kept.columns.get(name)
            self._arena.columns[name][rows] = 0 if stored is None else np.frombuffer(stored, dtype)
        starts_ms, at = array("q", kept.starts), 0
        for symbol, source, resolution, n in kept.series:
            key = symbol, source, resolution
            series = mine[key] = Series(shard, key, self.widths[resolution])
            series.starts_ms += starts_ms[at : at + n]
            series.rows.extend(rows[at : at + n])
            self._tracked.add(series)
            at += n

    def snapshot(self, shard: int, times: Times) -> Kept:
        """Return the state of a shard for a snapshot."""
        self._release(self._series[shard].values(), times)
        some = [series for series in self._series[shard].values() if series.rows]
        rows = np.array([row for series in some for row in series.rows], np.int64)
        columns = {name: self._arena.columns[name][rows].tobytes() for name in self._kept}
        starts_ms = array("q", [start_ms for series in some for start_ms in series.starts_ms])
        return Kept([(*one.key, len(one.rows)) for one in some], starts_ms.tobytes(), columns, self._anew[shard])

    def follow(self, finals: Finals, times: Times) -> tuple[Finals, list[ResultBlock]]:
        """Take windows that have become final or were corrected, and return what is derived from them.

        Parameters
        ----------
        finals
            The windows; their columns include ``width_ms``.
        times
            How far windows are settled and published.

        Returns
        -------
        Finals, list[ResultBlock]
            The results as columns, for recipes that follow them; and as records, without those that the previous owner
            is known to have published.
        """
        if not finals.keys and self._may_skip():
            return NOTHING, []
        relevant = self._relevant(finals)
        changed = self._insert(finals, relevant, times) if len(relevant) else {}
        places, columns = self._recompute(changed) if changed else ([], {})
        if changed:
            publish = columns.pop("publish")
            places = [places[i] for i in np.flatnonzero(publish).tolist()]
            columns = {name: column[publish] for name, column in columns.items()}
        made = self._results(places, columns, times)
        self._release([*changed, *self._tracked], times)
        return made, self._write(made, times)

    def _results(self, places: list[Place], columns: Columns, times: Times) -> Finals:  # noqa: ARG002 - signals look
        """Return results from the columns that `_step` made for some windows."""
        if not places:
            return NOTHING
        return Finals(
            [(*series.key, series.starts_ms[at]) for series, at in places],
            np.array([series.shard for series, _ in places], np.int64),
            columns
            | {
                "width_ms": np.array([series.width_ms for series, _ in places], np.int64),
                "final": np.ones(len(places), np.bool_),
            },
        )

    def _may_skip(self) -> bool:
        """Return whether a flush without final windows leaves nothing to do."""
        return not self._tracked

    def _relevant(self, finals: Finals) -> Ints:
        """Return the indices of the windows that it follows."""
        if not finals.keys:
            return np.empty(0, np.int64)
        return np.flatnonzero(np.isin(finals.columns["width_ms"], self._widths_ms))

    def _insert(self, finals: Finals, relevant: Ints, times: Times) -> dict[Series, int]:
        """Insert windows into their series; return, by series, the index of the first one that has changed."""
        if not self._arena.has_room(len(relevant)):
            # These windows may already count as settled, but what they need has to stay.
            first_ms = min(finals.keys[i][3] for i in relevant.tolist())
            self._release([one for mine in self._series.values() for one in mine.values()], times, first_ms)
            self._arena.grow(len(relevant))
        rows, replaced = self._arena.rows(len(relevant)), []
        changed: dict[Series, int] = {}
        shards = finals.shards[relevant].tolist()
        for i, shard, row in zip(relevant.tolist(), shards, rows, strict=True):
            symbol, source, resolution, start_ms = finals.keys[i]
            key = symbol, source, resolution
            series = self._series[shard].get(key)
            if series is None:
                series = self._series[shard][key] = Series(shard, key, self.widths[resolution])
            at, old = series.insert(start_ms, row)
            if old is not None:
                replaced.append(old)
            if at < changed.setdefault(series, at):
                changed[series] = at
        for name in self.takes:
            self._arena.columns[name][rows] = finals.columns[name][relevant]
        self._arena.release(replaced)
        return changed

    def _recompute(self, changed: Mapping[Series, int]) -> tuple[list[Place], Columns]:
        """Compute the changed windows and all later ones: one window of every series at a time."""
        self._prepare(changed)
        heads = list(changed.items())
        places: list[Place] = []
        parts: list[Columns] = []
        while heads:
            rows = np.array([series.rows[at] for series, at in heads], np.int64)
            before = np.array([series.rows[at - 1] if at else NO_ROW for series, at in heads], np.int64)
            parts.append(self._step(heads, rows, before))
            places += heads
            heads = [(series, at + 1) for series, at in heads if at + 1 < len(series.rows)]
        if len(parts) == 1:
            return places, parts[0]
        return places, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _release(self, some: Iterable[Series], times: Times, before_ms: int = -NEVER_MS) -> None:
        """Forget the windows that these series don't need any more.

        Parameters
        ----------
        before_ms
            Windows that end after this time are still to be inserted, ms. By default there are none.
        """
        known: dict[tuple[int, str], int] = {}
        for series in some:
            of = series.shard, series.key[1]
            if of not in known:
                known[of] = times.settled_ms(*of)
            n = self._n_obsolete(series, min(known[of], before_ms))
            if n:
                self._arena.release(series.drop(n))
            if len(series.rows) > self._untracked_size:
                self._tracked.add(series)
            else:
                self._tracked.discard(series)

    def _write(self, made: Finals, times: Times) -> list[ResultBlock]:
        """Return the records of results, without those that are already published."""
        if not made.keys:
            return []
        of = list(zip(made.shards.tolist(), [source for _, source, *_ in made.keys], strict=True))
        known = {one: times.published_ms(*one) for one in set(of)}
        ends_ms = np.array([start_ms for *_, start_ms in made.keys], np.int64) + made.columns["width_ms"]
        new = ends_ms > np.array([known[one] for one in of], np.int64)
        if new.all():
            return self._writer.write(made.keys, made.columns)
        keys = [key for key, wanted in zip(made.keys, new.tolist(), strict=True) if wanted]
        return self._writer.write(keys, {name: column[new] for name, column in made.columns.items()})

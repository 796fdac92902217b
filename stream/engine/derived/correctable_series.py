"""Final windows of series, one after the other: what follows them keeps some, and goes back where one is corrected."""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
import numpy as np

from tickertape.stream.engine.core.block import Ints
from tickertape.stream.engine.core.lanes import UNSET
from tickertape.stream.engine.core.results import NOTHING, Finals, Output, Result, ResultWriter
from tickertape.stream.engine.core.table import Columns, Schema, grow
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.derived.stage import Times
from tickertape.stream.engine.recovery.state import Kept

_NONE = -1
_DTYPES: dict[Any, np.dtype[Any]] = {int: INT, bool: np.dtype(np.bool_)}


@dataclass(slots=True, eq=False)
class Series:
    """The windows that are kept of one symbol, source and resolution, in time order, each a row."""

    shard: int
    key: tuple[str, str, str]
    width_ms: int
    starts_ms: "array[int]" = field(default_factory=lambda: array("q"))
    rows: "array[int]" = field(default_factory=lambda: array("q"))

    def insert(self, start_ms: int, row: int) -> tuple[int, int | None]:
        """Take in a window; return its place, and the row that it had before."""
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


#: A window: its series, and which of the kept ones it is.
Place: TypeAlias = tuple[Series, int]


class Arena:
    """Rows found by number, held as columns that grow by half; a fresh row holds what was there before."""

    def __init__(self, schema: Schema, capacity: int = 64) -> None:
        self.columns: Columns = {name: np.full(capacity, start, dtype) for name, (dtype, start) in schema.items()}
        self._schema = schema
        self._capacity = capacity
        self._free = array("q", range(capacity))

    def __len__(self) -> int:
        """How many are in use."""
        return self._capacity - len(self._free)

    def has_room(self, n: int) -> bool:
        return n <= len(self._free)

    def grow(self, n: int) -> None:
        """Make room for n more, and for as many again as an eighth of all."""
        while not self.has_room(n + self._capacity // 8):
            more = grow(self.columns, self._schema, self._capacity)
            self._free.extend(range(self._capacity, self._capacity + more))
            self._capacity += more

    def rows(self, n: int) -> "array[int]":
        if not self.has_room(n):
            self.grow(n)
        cut = len(self._free) - n
        rows = self._free[cut:]
        del self._free[cut:]
        return rows

    def release(self, rows: Iterable[int]) -> None:
        self._free.extend(rows)


def dtypes_of(windowing: Windowing, names: Iterable[str]) -> dict[str, tuple[np.dtype[Any], Any]]:
    """Return the columns that windows have by these names, whether partials or metrics."""
    types = {one.name: _DTYPES.get(one.type, FLOAT) for one in msgspec.structs.fields(windowing.result)}
    return {
        name: (windowing.aggregate.schema[name][0] if name in windowing.aggregate.schema else types[name], 0)
        for name in names
    }


class CorrectableSeries(ABC):
    """DerivedRecipe final windows, for all shards of a worker.

    Of each series it keeps the windows that may be corrected, with what they lead to, and as many before them as it
    takes to go on. One that comes, or comes anew, is put in its place, and all from there on are done again.

    Parameters
    ----------
    output
        What it makes.
    widths
        Which resolutions it follows, and their widths in ms.
    takes, keeps
        The columns that it takes of windows, and those that it keeps beside them.
    derived
        Columns that are made again from these where a snapshot is taken up.
    """

    def __init__(
        self, output: Output, widths: Mapping[str, int], takes: Schema, keeps: Schema, derived: Schema | None = None
    ) -> None:
        self.output = output
        self.takes = tuple(takes)
        self.widths = dict(widths)
        self._widths_ms = np.array(list(widths.values()), np.int64)
        self._kept = {**takes, **keeps}
        self._arena = Arena({**self._kept, **(derived or {})})
        self._series: dict[int, dict[tuple[str, str, str], Series]] = {}
        self._anew: dict[int, bool] = {}
        # Those that may have more windows than they need by the time that none comes.
        self._open: set[Series] = set()
        self._writer = ResultWriter(output)

    #: A series with no more windows than these has none to forget while none comes.
    _resting = 1

    @abstractmethod
    def _step(self, places: list[Place], rows: Ints, before: Ints) -> Columns:
        """Do one window each of some series.

        Parameters
        ----------
        places, rows
            Which.
        before
            The row of the window before it, -1 for none.

        Returns
        -------
        Columns
            The fields of results; and ``told``, False where there is nothing to tell.
        """

    @abstractmethod
    def _spent(self, series: Series, settled_ms: int) -> int:
        """Return how many of the first windows of a series are not needed any more."""

    def _prepare(self, changed: Mapping[Series, int]) -> None:  # noqa: B027 - most have nothing to prepare
        """Hear from which window on series are to be done, before they are."""

    @property
    def form(self) -> str:
        """What tells the states of one form from those of another."""
        columns = [(name, dtype.str, dtype.shape) for name, (dtype, _) in self._kept.items()]
        return f"{self.output.name} {sorted(self.widths.items())} {columns}"

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> None:
        """Begin with a shard.

        Parameters
        ----------
        shard
            Which.
        kept
            What a snapshot has, or None.
        anew
            Whether there was something before, which is lost.
        """
        self._anew[shard] = kept.anew if kept else anew
        mine = self._series[shard] = {}
        if kept is None:
            return
        rows = self._arena.rows(sum(n for *_, n in kept.series))
        for name, (dtype, _) in self._kept.items():
            self._arena.columns[name][rows] = np.frombuffer(kept.columns[name], dtype)
        starts_ms, at = array("q", kept.starts), 0
        for symbol, source, resolution, n in kept.series:
            key = symbol, source, resolution
            series = mine[key] = Series(shard, key, self.widths[resolution])
            series.starts_ms += starts_ms[at : at + n]
            series.rows.extend(rows[at : at + n])
            self._open.add(series)
            at += n

    def snapshot(self, shard: int, times: Times) -> Kept:
        """Return what a snapshot is to have of a shard."""
        self._release(self._series[shard].values(), times)
        some = [series for series in self._series[shard].values() if series.rows]
        rows = np.array([row for series in some for row in series.rows], np.int64)
        columns = {name: self._arena.columns[name][rows].tobytes() for name in self._kept}
        starts_ms = array("q", [start_ms for series in some for start_ms in series.starts_ms])
        return Kept([(*one.key, len(one.rows)) for one in some], starts_ms.tobytes(), columns, self._anew[shard])

    def follow(self, finals: Finals, times: Times) -> tuple[Finals, list[Result]]:
        """Take in windows that are final now, or were corrected.

        Parameters
        ----------
        finals
            Which; with ``width_ms`` among the columns.
        times
            How far windows are.

        Returns
        -------
        Finals, list[Result]
            What has come of them, for whatever follows that, and as records; those that the last owner is known to
            have published are not among these.
        """
        if not finals.keys and self._rests():
            return NOTHING, []
        chosen = self._chosen(finals)
        changed = self._put(finals, chosen, times) if len(chosen) else {}
        places, columns = self._redo(changed) if changed else ([], {})
        if changed:
            told = columns.pop("told")
            places = [places[i] for i in np.flatnonzero(told).tolist()]
            columns = {name: column[told] for name, column in columns.items()}
        made = self._told(places, columns, times)
        self._release([*changed, *self._open], times)
        return made, self._write(made, times)

    def _told(self, places: list[Place], columns: Columns, times: Times) -> Finals:  # noqa: ARG002 - signals look
        """Return results, from the columns of some windows."""
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

    def _rests(self) -> bool:
        """Whether there is nothing to do while no window comes."""
        return not self._open

    def _chosen(self, finals: Finals) -> Ints:
        """Return which windows it follows."""
        if not finals.keys:
            return np.empty(0, np.int64)
        return np.flatnonzero(np.isin(finals.columns["width_ms"], self._widths_ms))

    def _put(self, finals: Finals, chosen: Ints, times: Times) -> dict[Series, int]:
        """Put windows in their places; return, by series, the first that has changed."""
        if not self._arena.has_room(len(chosen)):
            # These windows may go back behind what is settled with them.
            first_ms = min(finals.keys[i][3] for i in chosen.tolist())
            self._release([one for mine in self._series.values() for one in mine.values()], times, first_ms)
            self._arena.grow(len(chosen))
        rows, replaced = self._arena.rows(len(chosen)), []
        changed: dict[Series, int] = {}
        shards = finals.shards[chosen].tolist()
        for i, shard, row in zip(chosen.tolist(), shards, rows, strict=True):
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
            self._arena.columns[name][rows] = finals.columns[name][chosen]
        self._arena.release(replaced)
        return changed

    def _redo(self, changed: Mapping[Series, int]) -> tuple[list[Place], Columns]:
        """Do the windows that have changed, and those after them: of each series one, then of each the next."""
        self._prepare(changed)
        heads = list(changed.items())
        places: list[Place] = []
        parts: list[Columns] = []
        while heads:
            rows = np.array([series.rows[at] for series, at in heads], np.int64)
            before = np.array([series.rows[at - 1] if at else _NONE for series, at in heads], np.int64)
            parts.append(self._step(heads, rows, before))
            places += heads
            heads = [(series, at + 1) for series, at in heads if at + 1 < len(series.rows)]
        if len(parts) == 1:
            return places, parts[0]
        return places, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _release(self, some: Iterable[Series], times: Times, before_ms: int = -UNSET) -> None:
        """Forget the windows of these series that are not needed any more by windows that end after a time."""
        known: dict[tuple[int, str], int] = {}
        for series in some:
            of = series.shard, series.key[1]
            if of not in known:
                known[of] = times.settled_ms(*of)
            n = self._spent(series, min(known[of], before_ms))
            if n:
                self._arena.release(series.drop(n))
            if len(series.rows) > self._resting:
                self._open.add(series)
            else:
                self._open.discard(series)

    def _write(self, made: Finals, times: Times) -> list[Result]:
        """Return records of results, without those that are known to be published."""
        if not made.keys:
            return []
        of = list(zip(made.shards.tolist(), [source for _, source, *_ in made.keys], strict=True))
        known = {one: times.published_ms(*one) for one in set(of)}
        ends_ms = np.array([start_ms for *_, start_ms in made.keys], np.int64) + made.columns["width_ms"]
        new = ends_ms > np.array([known[one] for one in of], np.int64)
        if new.all():
            return self._writer.write(made.keys, made.columns)
        keys = [key for key, wanted in zip(made.keys, new.tolist(), strict=True) if wanted]
        return self._writer.write(keys, {name: column[new] for name, column in made.columns.items()}) if keys else []

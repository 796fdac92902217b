"""Follows the final windows of each series, and computes again what a correction changes."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress
from typing import Generic

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.results import (
    NOTHING,
    Finals,
    Output,
    ResultBlock,
    ResultTexts,
    ResultWriter,
    WindowKeys,
)
from tickertape.stream.engine.core.table import NO_ROW, Columns, Schema
from tickertape.stream.engine.derived.joint import Joint
from tickertape.stream.engine.derived.post_processor import Times
from tickertape.stream.engine.derived.series import Arena, Place, S, rows_of
from tickertape.stream.engine.derived.stored import Stored, packed
from tickertape.stream.engine.recovery.state import Kept


class CorrectableSeries(ABC, Generic[S]):
    """Follows final windows, for all shards of a worker.

    Of each series it keeps the windows that may be corrected, with the state after each, and as many windows before
    them as it needs. A window that is new or corrected is put in its place in time, and it and all later windows are
    computed again.

    Parameters
    ----------
    outputs
        The outputs that it makes.
    widths
        The widths of the resolutions that it follows, ms, by name.
    takes, keeps
        The columns that it takes of windows, and those that it keeps besides.
    optional
        Columns that a snapshot may lack; they are zero then. See `Aggregate`.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        widths: Mapping[str, int],
        takes: Schema,
        keeps: Schema,
        optional: Collection[str] = (),
    ) -> None:
        self._optional = optional
        self.outputs = tuple(outputs)
        self.takes = tuple(takes)
        self.widths = dict(widths)
        self._widths_ms = np.array(list(widths.values()), np.int64)
        self._kept = {**takes, **keeps}
        self._arena = Arena(self._kept)
        self._series: dict[int, dict[tuple[str, str, str], S]] = {}
        self._anew: dict[int, bool] = {}
        # Series that may have obsolete windows later, even if no window of theirs arrives.
        self._tracked: set[S] = set()
        texts = ResultTexts() if len(self.outputs) > 1 else None
        self._writers = [ResultWriter(output, texts) for output in self.outputs]
        self._joint = Joint(self.takes, self._inputs)

    #: A series with at most this many windows isn't looked at until a window of it arrives.
    _untracked_size = 1
    #: Whether the series of all sources together may be that of the only source.
    _joins = True
    #: Whether a snapshot has the windows of joint series only once. Versions before joint series can't read that.
    _stores_once = False

    @abstractmethod
    def _step(self, places: list[Place[S]], rows: Ints, before: Ints) -> Columns:
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
    def _n_obsolete(self, series: S, settled_ms: int) -> int:
        """Return how many windows at the start of a series aren't needed any more."""

    def _prepare(self, changed: Mapping[S, int]) -> None:
        """Prepare to compute series again, each from the given index on."""

    @property
    def form(self) -> str:
        """Identifies the columns of a state. A snapshot's state is restored only if its form is the same."""
        return self._form_of(self._kept)

    @property
    def earlier_form(self) -> str:
        """The form of an earlier version, whose states can be restored too; empty for none."""
        return ""

    def _form_of(self, kept: Schema) -> str:
        columns = [(name, dtype.str, dtype.shape) for name, (dtype, _) in kept.items() if name not in self._optional]
        return f"{self.outputs[0].name} {sorted(self.widths.items())} {columns}"

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> list[str]:
        """Start with a shard.

        Parameters
        ----------
        kept
            The state in a snapshot, or None.
        anew
            Without a snapshot: whether the shard has a past that is lost.

        Returns
        -------
        list[str]
            The names of the outputs that start without their past, because that is lost.
        """
        self._anew[shard] = kept.anew if kept else anew
        mine = self._series[shard] = {}
        if kept is None:
            return [output.name for output in self.outputs] if anew else []
        stored = Stored(kept, self._kept)
        joint = stored.joint() if self._joins else {}
        own = {key: span for key, span in stored.spans.items() if key not in joint}
        index = stored.places_of(list(own.values()))
        rows, at = self._arena.rows(len(index)), 0
        for name, column in stored.columns.items():
            self._arena.columns[name][rows] = column[index]
        for key, (first, end) in own.items():
            series = mine[key] = self._new_series(shard, key)
            series.starts_ms.frombytes(stored.starts_ms[first:end].tobytes())
            series.rows += rows[at : (at := at + end - first)]
            self._tracked.add(series)
        for key, source in joint.items():
            series = mine[key] = mine[source]
            first, end = stored.spans[key]
            series.is_joint, series.all_ms = True, int(stored.starts_ms[end - 1]) if end > first else NEVER_MS
        self._restored(shard)
        self._recall(shard)
        return []

    def _restored(self, shard: int) -> None:
        """Make what else the series have that were just restored."""

    def _recall(self, shard: int) -> None:
        """Compute again the results that wait until their windows are final for all sources."""
        ahead = {one: one.n_of_all() for one in self._series[shard].values() if one.is_joint}
        ahead = {one: at for one, at in ahead.items() if at < len(one.rows)}
        if ahead:
            places, columns = self._recompute(ahead)
            publish = np.flatnonzero(columns.pop("publish")).tolist()
            made = self._made(places, columns)
            self._joint.wait(places, made.columns, publish)

    def snapshot(self, shard: int, times: Times) -> Kept:
        """Return the state of a shard for a snapshot."""
        self._release(self._series[shard].values(), times)
        some = []
        for key, one in self._series[shard].items():
            if one.rows:
                some.append((key, one, one.n_of_all() if one.is_joint and key[1] == ALL else len(one.rows)))
        return packed(some, self._arena.columns, anew=self._anew[shard], once=self._stores_once)

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
        computed, columns = self._recompute(changed) if changed else ([], {})
        places = computed
        if changed:
            publish = columns.pop("publish")
            if not publish.all():
                places = [computed[i] for i in np.flatnonzero(publish).tolist()]
                columns = {name: column[publish] for name, column in columns.items()}
        made = self._results(places, columns, times)
        if self._joins:
            made = self._joint.with_all(made, places, computed)
        self._release([*changed, *self._tracked], times)
        return made, self._write(made, times)

    def _results(self, places: list[Place[S]], columns: Columns, times: Times) -> Finals:  # noqa: ARG002 - signals look
        """Return results from the columns that `_step` made for some windows."""
        return self._made(places, columns) if places else NOTHING

    def _made(self, places: list[Place[S]], columns: Columns) -> Finals:
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

    def _insert(self, finals: Finals, relevant: Ints, times: Times) -> dict[S, int]:
        """Insert windows into their series; return, by series, the index of the first one that has changed."""
        if not self._arena.has_room(len(relevant)):
            # These windows may already count as settled, but what they need has to stay.
            first_ms = min(finals.keys[i][3] for i in relevant.tolist())
            self._release([one for mine in self._series.values() for one in mine.values()], times, first_ms)
            self._arena.grow(len(relevant))
        series_of = self._all_series(finals, relevant)
        if self._joins:
            wanted, differ = self._joint.pair(finals, relevant, series_of)
            for series in differ:
                self._split(series)
            relevant = relevant[wanted]
            series_of = self._all_series(finals, relevant) if differ else list(compress(series_of, wanted))
        rows, replaced = self._arena.rows(len(relevant)), array("i")
        changed: dict[S, int] = {}
        starts_ms = [finals.keys[i][3] for i in relevant.tolist()]
        for series, start_ms, row in zip(series_of, starts_ms, rows, strict=True):
            at, old = series.insert(start_ms, row)
            if old is not None:
                replaced.append(old)
            if at < changed.setdefault(series, at):
                changed[series] = at
        self._arena.release(replaced)
        columns = {name: finals.columns[name][relevant] for name in self.takes}
        self._take(rows_of(rows), columns, list(zip(series_of, starts_ms, strict=True)))
        return changed

    def _all_series(self, finals: Finals, relevant: Ints) -> list[S]:
        """Return the series of each of these windows, which is empty if it is new."""
        found: list[S | None] = []
        unknown: list[tuple[int, int, tuple[str, str, str]]] = []
        for i, shard in zip(relevant.tolist(), finals.shards[relevant].tolist(), strict=True):
            symbol, source, resolution, _ = finals.keys[i]
            key = symbol, source, resolution
            series = self._series[shard].get(key)
            if series is None:
                unknown.append((len(found), shard, key))
            found.append(series)
        # The sources come first, so that theirs may be joint.
        for at, shard, key in sorted(unknown, key=lambda one: one[2][1] == ALL):
            found[at] = self._series[shard].get(key) or self._added(shard, key)
        return found  # type: ignore[return-value]  # none is None any more

    def _added(self, shard: int, key: tuple[str, str, str]) -> S:
        """Add a new series. It is joint if it is the first one of its symbol."""
        mine, whole = self._series[shard], (key[0], ALL, key[2])
        series = mine[key] = self._new_series(shard, key)
        if self._joins and whole not in mine:
            series.is_joint, mine[whole] = True, series
        return series

    def _split(self, series: S) -> None:
        """Give all sources a series of their own, with copies of the windows that they had so far."""
        self._joint.split(series)
        n, (symbol, _, resolution) = series.n_of_all(), series.key
        copy = self._new_series(series.shard, (symbol, ALL, resolution))
        copy.starts_ms, copy.rows = series.starts_ms[:n], self._arena.rows(n)
        for column in self._arena.columns.values():
            column[copy.rows] = column[series.rows[:n]]
        self._series[series.shard][copy.key] = copy
        self._tracked.add(copy)
        self._copied(copy)

    def _copied(self, copy: S) -> None:
        """Make what else a series has that was split off."""

    def _inputs(self, rows: Ints) -> Columns:
        """Return the columns that were taken of stored windows."""
        return {name: self._arena.columns[name][rows] for name in self.takes}

    @abstractmethod
    def _new_series(self, shard: int, key: tuple[str, str, str]) -> S:
        """Return an empty series."""

    def _take(self, rows: Ints, columns: Columns, placed: list[tuple[S, int]]) -> None:  # noqa: ARG002 - as above
        """Store the columns of inserted windows, in these rows. ``placed`` has their series and starts, ms."""
        for name, column in columns.items():
            self._arena.columns[name][rows] = column

    def _recompute(self, changed: Mapping[S, int]) -> tuple[list[Place[S]], Columns]:
        """Compute the changed windows and all later ones: one window of every series at a time."""
        self._prepare(changed)
        heads = list(changed.items())
        places: list[Place[S]] = []
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

    def _release(self, some: Iterable[S], times: Times, before_ms: int = -NEVER_MS) -> None:
        """Forget the windows that these series don't need any more.

        Parameters
        ----------
        before_ms
            Windows that end after this time are still to be inserted, ms. By default there are none.
        """
        known: dict[tuple[int, str], int] = {}
        dropped = array("i")
        for series in some:
            of = series.shard, series.key[1]
            if of not in known:
                known[of] = times.settled_ms(*of)
            settled_ms = min(known[of], before_ms)
            if series.is_joint:
                whole = series.shard, ALL
                if whole not in known:
                    known[whole] = times.settled_ms(*whole)
                if series.is_stuck(min(known[whole], before_ms)) and before_ms == -NEVER_MS:
                    self._split(series)
                else:
                    settled_ms = min(settled_ms, known[whole])
            n = self._n_obsolete(series, settled_ms)
            if n and series.is_joint:
                n = min(n, max(series.n_of_all() - 1, 0))
            if n:
                dropped += series.drop(n)
                self._dropped(series)
            if len(series.rows) > self._untracked_size:
                self._tracked.add(series)
            else:
                self._tracked.discard(series)
        self._arena.release(dropped)

    def _dropped(self, series: S) -> None:
        """Forget what depends on windows that a series has just dropped."""

    def _write(self, made: Finals, times: Times) -> list[ResultBlock]:
        """Return the records of results, without those that are already published."""
        if not made.keys:
            return []
        of = list(zip(made.shards.tolist(), [source for _, source, *_ in made.keys], strict=True))
        known = {one: times.published_ms(*one) for one in set(of)}
        ends_ms = np.array([start_ms for *_, start_ms in made.keys], np.int64) + made.columns["width_ms"]
        new = ends_ms > np.array([known[one] for one in of], np.int64)
        keys, columns = made.keys, made.columns
        if not new.all():
            keys = [key for key, wanted in zip(keys, new.tolist(), strict=True) if wanted]
            columns = {name: column[new] for name, column in columns.items()}
        windows = WindowKeys.of(keys)
        return [block for writer in self._writers for block in writer.write(windows, self._of(writer.output, columns))]

    def by_output(self, made: Finals) -> dict[str, Finals]:
        """Return results by the name of their output."""
        return {output.name: made._replace(columns=self._of(output, made.columns)) for output in self.outputs}

    def _of(self, output: Output, columns: Columns) -> Columns:  # noqa: ARG002 - most have only one output
        """Return the columns of one output's results."""
        return columns

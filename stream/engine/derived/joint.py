"""Joint series: `all` is the series of a symbol's only source, as far as the windows of both are equal.

A joint series has the windows of the source. Those up to `Series.all_ms` are also windows of all sources together. The
later ones aren't final there yet, so their results wait. Each window of all sources has to be equal to the source's, to
the last bit, and none may be left out. Otherwise, as when the symbol gets a second source, the series is split: `all`
gets windows of its own. So joining changes no result.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tickertape.stream.engine.core.columns import Bools, Ints
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.results import NOTHING, Finals
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.derived.series import Place, S, Series

#: By start, ms: the indices of final windows, of the source and of all sources.
_Arrived: TypeAlias = tuple[dict[int, int], dict[int, int]]


class Joint:
    """The joint series of one follower.

    Parameters
    ----------
    names
        The columns of final windows that have to be equal.
    stored
        Returns these columns of stored windows, from their rows.
    """

    def __init__(self, names: Collection[str], stored: Callable[[Ints], Columns]) -> None:
        self._names = names
        self._stored = stored
        #: By series and start, ms, the results that aren't final for all sources yet: columns, and an index in them.
        self._waiting: dict[tuple[Series, int], tuple[Columns, int]] = {}
        self._confirmed: list[tuple[Series, int]] = []

    def pair(self, finals: Finals, relevant: Ints, series: Sequence[S]) -> tuple[Bools, list[S]]:
        """Find the windows of all sources that equal those of a joint series; they need not be inserted.

        Parameters
        ----------
        finals, relevant, series
            Final windows, the indices of those that are followed, shape (n,), and the series of each.

        Returns
        -------
        Bools, list[Series]
            Which windows to insert, shape (n,); and the series to split before that, see `split`.
        """
        arrived: dict[S, _Arrived] = {}
        differ: dict[S, None] = {}
        for i, one in zip(relevant.tolist(), series, strict=True):
            if not one.is_joint:
                continue
            if (of := arrived.get(one)) is None:
                of = arrived[one] = {}, {}
            _, source, _, start_ms = finals.keys[i]
            mine = of[source == ALL]
            if start_ms in mine:
                # Two versions of a window: which of their counterparts is whose isn't known.
                differ[one] = None
            mine[start_ms] = i
        self._compare(finals, arrived, differ)
        self._confirmed = []
        paired: list[int] = []
        for one, (sources, wholes) in arrived.items():
            if one in differ or not wholes:
                continue
            one.all_ms = max(one.all_ms, *wholes)
            self._confirmed += [(one, start_ms) for start_ms in wholes if start_ms not in sources]
            paired += wholes.values()
        return ~np.isin(relevant, paired), list(differ)

    def _compare(self, finals: Finals, arrived: dict[S, _Arrived], differ: dict[S, None]) -> None:
        """Add the series to ``differ`` whose windows aren't those of all sources."""
        of: list[S] = []
        pairs: list[tuple[int, int]] = []
        of_stored: list[S] = []
        stored: list[tuple[int, int]] = []
        for one, (sources, wholes) in arrived.items():
            if one in differ or not _continues(one, sources, wholes):
                differ[one] = None
                continue
            for start_ms, whole in wholes.items():
                if (mine := sources.get(start_ms)) is not None:
                    of.append(one)
                    pairs.append((mine, whole))
                else:
                    of_stored.append(one)
                    stored.append((one.rows[bisect_right(one.starts_ms, start_ms) - 1], whole))
        firsts, seconds = np.array(pairs, np.int64).reshape(-1, 2).T
        taken = finals.columns
        equal = self._equal({name: taken[name][firsts] for name in self._names}, finals, seconds)
        differ |= dict.fromkeys(one for one, same in zip(of, equal.tolist(), strict=True) if not same)
        if stored:
            rows, seconds = np.array(stored, np.int64).T
            equal = self._equal(self._stored(rows), finals, seconds)
            differ |= dict.fromkeys(one for one, same in zip(of_stored, equal.tolist(), strict=True) if not same)

    def _equal(self, columns: Columns, finals: Finals, others: Ints) -> Bools:
        equal = np.ones(len(others), np.bool_)
        for name in self._names:
            equal &= _bits(columns[name]) == _bits(finals.columns[name][others])
        return equal

    def split(self, series: Series) -> None:
        """Make a series that of its source only. What waited is computed again, for the series of all sources."""
        series.is_joint = False
        for start_ms in series.starts_ms[series.n_of_all() :]:
            self._waiting.pop((series, start_ms), None)

    def wait(self, places: Sequence[Place[S]], columns: Columns, indices: Sequence[int]) -> None:
        """Store results until their windows are final for all sources; the indices are those of places and columns."""
        at = np.array(indices, np.int64)
        kept = {name: column[at] for name, column in columns.items()}
        for n, i in enumerate(indices):
            series, place = places[i]
            self._waiting[series, series.starts_ms[place]] = kept, n

    def with_all(self, made: Finals, places: Sequence[Place[S]], computed: Sequence[Place[S]]) -> Finals:
        """Return results with those of all sources.

        Parameters
        ----------
        made, places
            The results of the sources, and the window of each.
        computed
            All windows that have been computed, also those without a result.
        """
        if self._waiting:
            for series, at in computed:
                self._waiting.pop((series, series.starts_ms[at]), None)
        both: list[int] = []
        later: list[int] = []
        for i, (series, at) in enumerate(places):
            if series.is_joint:
                (both if series.starts_ms[at] <= series.all_ms else later).append(i)
        found = made
        if both:
            keys, rows = [_of_all(made.keys[i]) for i in both], np.array(both, np.int64)
            found = found.and_(Finals(keys, made.shards[rows], {name: one[rows] for name, one in made.columns.items()}))
        if later:
            self.wait(places, made.columns, later)
        return found.and_(self._late())

    def _late(self) -> Finals:
        """Return the results that waited for the windows of all sources that have now become final."""
        groups: dict[int, tuple[Columns, list[tuple[Series, int]], list[int]]] = {}
        for series, start_ms in self._confirmed:
            if (waited := self._waiting.pop((series, start_ms), None)) is not None:
                columns, at = waited
                _, of, indices = groups.setdefault(id(columns), (columns, [], []))
                of.append((series, start_ms))
                indices.append(at)
        self._confirmed = []
        late = NOTHING
        for columns, of, indices in groups.values():
            keys = [_of_all((*series.key, start_ms)) for series, start_ms in of]
            shards = np.array([series.shard for series, _ in of], np.int64)
            late = late.and_(Finals(keys, shards, {name: column[indices] for name, column in columns.items()}))
        return late


def _continues(one: Series, sources: dict[int, int], wholes: dict[int, int]) -> bool:
    """Return whether the starts of a joint series' new windows are those of all sources up to the newest of these."""
    starts_ms, all_ms = one.starts_ms, one.all_ms
    if sources.keys() == wholes.keys() and (not starts_ms or starts_ms[-1] <= all_ms):
        return True
    newest_ms = max(all_ms, *wholes) if wholes else all_ms
    waiting = starts_ms[bisect_right(starts_ms, all_ms) : bisect_right(starts_ms, newest_ms)]
    wanted = {start_ms for start_ms in (*sources, *waiting) if start_ms <= newest_ms}
    return wanted == wholes.keys()


def _of_all(key: tuple[str, str, str, int]) -> tuple[str, str, str, int]:
    symbol, _, resolution, start_ms = key
    return symbol, ALL, resolution, start_ms


def _bits(column: NDArray[Any]) -> NDArray[Any]:
    """Return floats as integers: NaN differs from itself, and zero equals minus zero."""
    return column.view(np.int64) if column.dtype.kind == "f" else column

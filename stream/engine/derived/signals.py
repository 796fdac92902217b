"""Signals: final results that fulfil a rule."""

from bisect import bisect_left
from collections.abc import Mapping

import msgspec
import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import NOTHING, Finals, Output
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.derived.post_processor import Times
from tickertape.stream.engine.derived.recursion import StatefulSeries
from tickertape.stream.engine.derived.rules import AnyRule
from tickertape.stream.engine.derived.series import Place, Series
from tickertape.stream.engine.recovery.state import Kept

_BOOL = np.dtype(np.bool_)


class SignalSeries(StatefulSeries):
    """Makes signals of final results by one rule.

    A signal is published with the first final result that fulfils the rule. It isn't final while that result, or any
    before it, may still be corrected. Once none of them can be, and the signal still stands, it is published again, as
    final. So final signals are a function of the log: each occurs once, whoever publishes it.

    Parameters
    ----------
    rule
        The rule.
    sink
        The topic that signals are published to.
    result
        The Struct of a signal: ``symbol``, ``source``, ``resolution``, ``start_ms``, ``rule``, ``on``, ``field``,
        ``value``, ``level``, ``final``, ``revision``, ``incomplete``.
    widths
        The widths of the resolutions of the results that it follows, ms, by name.
    """

    # A rule may be about some sources only.
    _joins = False

    def __init__(self, rule: AnyRule, sink: str, result: type[msgspec.Struct], widths: Mapping[str, int]) -> None:
        super().__init__(
            [Output(sink, rule.name, result)],
            {
                name: width_ms
                for name, width_ms in widths.items()
                if rule.resolutions is None or name in rule.resolutions
            },
            dict.fromkeys(rule.takes, (FLOAT, 0.0)),
            {**rule.state, "fired_ms": (INT, NEVER_MS)},
            rule.memory,
            {"fired": (_BOOL, False), "value": (FLOAT, 0.0), "level": (FLOAT, 0.0)},
        )
        self._rule = rule
        # Signals that a correction may still withdraw, as series and start of the window.
        self._unsettled: set[tuple[Series, int]] = set()
        self._cooldown_ms = int(rule.cooldown_seconds * 1000)

    @property
    def form(self) -> str:
        return f"{super().form} {msgspec.json.encode(self._rule).decode()}"

    def _may_skip(self) -> bool:
        return super()._may_skip() and not self._unsettled

    def _relevant(self, finals: Finals) -> Ints:
        relevant, rule = super()._relevant(finals), self._rule
        wanted = [
            i
            for i in relevant.tolist()
            if finals.keys[i][1] in rule.sources and (rule.symbols is None or finals.keys[i][0] in rule.symbols)
        ]
        return np.array(wanted, np.int64)

    def _advance(self, state: Columns, taken: Columns, places: list[Place[Series]], rows: Ints) -> Columns:
        outcome = self._rule.step(state, taken)
        start_ms = np.array([series.starts_ms[at] for series, at in places], np.int64)
        fired = outcome["fires"] & (start_ms - state["fired_ms"] >= self._cooldown_ms)
        state["fired_ms"] = np.where(fired, start_ms, state["fired_ms"])
        columns = {"value": taken[self._rule.field], "level": outcome["level"]}
        for name, column in {**columns, "fired": fired}.items():
            self._arena.columns[name][rows] = column
        return columns | {"publish": fired}

    def assign(self, shard: int, kept: Kept | None, *, anew: bool) -> list[str]:
        lost = super().assign(shard, kept, anew=anew)
        fired = self._arena.columns["fired"]
        self._unsettled |= {
            (series, start_ms)
            for series in self._series[shard].values()
            for start_ms, row in zip(series.starts_ms, series.rows, strict=True)
            if fired[row]
        }
        return lost

    def _results(self, places: list[Place[Series]], columns: Columns, times: Times) -> Finals:
        """Return the new signals, and those that have become final."""
        self._unsettled |= {(series, series.starts_ms[at]) for series, at in places}
        known: dict[tuple[int, str], int] = {}
        published, final = list(places), [False] * len(places)
        place = {(series, series.starts_ms[at]): i for i, (series, at) in enumerate(places)}
        for one in list(self._unsettled):
            series, start_ms = one
            of = series.shard, series.key[1]
            if of not in known:
                known[of] = times.settled_ms(*of)
            if start_ms + series.width_ms > known[of]:
                continue
            self._unsettled.discard(one)
            if one in place:
                final[place[one]] = True
                continue
            at = bisect_left(series.starts_ms, start_ms)
            # A correction may have withdrawn the signal.
            if self._arena.columns["fired"][series.rows[at]]:
                published.append((series, at))
                final.append(True)
        if not published:
            return NOTHING
        starts_ms = [series.starts_ms[at] for series, at in published]
        order = sorted(range(len(published)), key=lambda i: (starts_ms[i], published[i][0].key))
        published, rule = [published[i] for i in order], self._rule
        rows = np.array([series.rows[at] for series, at in published], np.int64)
        stored = self._arena.columns
        columns = {name: stored[name][rows] for name in ("value", "level")}
        columns |= {"revision": stored["events"][rows], "incomplete": stored["clean"][rows] < self._memory}
        columns |= {name: np.full(len(rows), getattr(rule, name)) for name in ("on", "field")}
        made = super()._results(published, columns | {"rule": np.full(len(rows), rule.name)}, times)
        made.columns["final"][:] = [final[i] for i in order]
        return made

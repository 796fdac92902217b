"""Rules, which decide what results are signals. They are read from a TOML file, and evaluated on columns."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
from msgspec import Meta, Struct

from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.engine.core.names import ALL
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.errors import ConfigError

Name = Annotated[str, Meta(pattern=r"^[\w.-]+$", max_length=64)]
# After this many times `windows` results, a result's weight in the baseline is below a billionth.
_FORGOTTEN = 11


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="when"):
    """The base of all rules.

    Attributes
    ----------
    name
        The rule's name, which ends the keys of its signals.
    on
        The results that the rule is applied to: ``bars``, ``indicators/rsi``.
    field
        The field of these results that the rule is about.
    symbols, sources, resolutions
        The rule is applied only to these. By default: all symbols, the source ``all``, and all resolutions.
    cooldown_seconds
        For this long after a signal, in event time, the series has no other signal by this rule.
    """

    name: Name
    on: str
    field: str
    symbols: list[str] | None = None
    sources: list[str] = msgspec.field(default_factory=lambda: [ALL])
    resolutions: list[str] | None = None
    cooldown_seconds: Annotated[float, Meta(ge=0)] = 0.0

    state: ClassVar[Schema] = {}

    @property
    def takes(self) -> tuple[str, ...]:
        return (self.field,)

    @property
    def memory(self) -> int:
        """The number of results after a lost past for which the rule still depends on it."""
        return 1

    def wrong(self) -> str:
        """Return what is wrong with the rule's own fields, or an empty string."""
        return ""

    def step(self, state: Columns, values: Columns) -> Columns:
        """Apply the rule to one result of each of n series.

        Parameters
        ----------
        state
            The state of each series, shape (n,); changed in place.
        values
            The fields of the results, shape (n,).

        Returns
        -------
        Columns
            ``fires``: whether the rule comes true; ``level``: what the value is compared with; shape (n,).
        """
        raise NotImplementedError


class _Beyond(Rule, frozen=True, kw_only=True):
    """A rule that comes true when a value goes beyond a level, and again only after the value was back at ``rearm``."""

    above: float | None = None
    below: float | None = None
    rearm: float | None = None

    def wrong(self) -> str:
        if (self.above is None) == (self.below is None):
            return "it needs either `above` or `below`"
        if self.rearm is not None and (self.rearm - self._limit) * self._sign > 0:
            return f"`rearm` {self.rearm:g} must not be beyond the level {self._limit:g}"
        return ""

    @property
    def _sign(self) -> int:
        return -1 if self.above is None else 1

    @property
    def _limit(self) -> float:
        limit = self.below if self.above is None else self.above
        assert limit is not None
        return limit

    def _beyond(self, state: Columns, value: Any, known: Any) -> Any:
        """Return which values go beyond the limit; ``known`` is False for those that aren't values."""
        sign, limit = self._sign, self._limit
        rearm = limit if self.rearm is None else self.rearm
        beyond = known & (sign * value > sign * limit)
        fires = beyond & ~state["spent"]
        state["spent"] = np.where(known & (sign * value <= sign * rearm), False, state["spent"] | beyond)
        return fires


_SPENT: Schema = {"spent": (np.dtype(np.bool_), False)}


class Threshold(_Beyond, frozen=True, kw_only=True, tag="threshold"):
    """A field goes above or below a level. For the next signal it first has to return to ``rearm``, or to the level."""

    state: ClassVar[Schema] = _SPENT

    def step(self, state: Columns, values: Columns) -> Columns:
        value = values[self.field]
        return {"fires": self._beyond(state, value, ~np.isnan(value)), "level": np.full(len(value), self._limit)}


class Cross(Rule, frozen=True, kw_only=True, tag="cross"):
    """A field crosses another field of the same result, or a level. The first value of a series only sets its side."""

    over: str | float
    direction: Literal["up", "down", "both"] = "both"

    state: ClassVar[Schema] = {"side": (INT, 0)}

    @property
    def takes(self) -> tuple[str, ...]:
        return (self.field, self.over) if isinstance(self.over, str) else (self.field,)

    def step(self, state: Columns, values: Columns) -> Columns:
        value = values[self.field]
        level = values[self.over] if isinstance(self.over, str) else np.full(len(value), float(self.over))
        difference = value - level
        side = np.where(np.isnan(difference), 0, np.sign(difference)).astype(np.int64)
        is_wanted_side = {"up": side > 0, "down": side < 0, "both": side != 0}[self.direction]
        fires = is_wanted_side & (side * state["side"] < 0)
        state["side"] = np.where(side == 0, state["side"], side)
        return {"fires": fires, "level": level}


class Zscore(_Beyond, frozen=True, kw_only=True, tag="zscore"):
    """The distance of a field from its exponentially weighted mean, in standard deviations, goes beyond a level [1]_.

    Mean and deviation are of the values before, of which the newest weighs 2 / (``windows`` + 1). The rule needs at
    least ``windows`` values before the first signal.

    .. [1] Finch (2009), "Incremental calculation of weighted mean and variance".
    """

    windows: Annotated[int, Meta(ge=2)]

    state: ClassVar[Schema] = {**_SPENT, "n": (INT, 0), "mean": (FLOAT, 0.0), "variance": (FLOAT, 0.0)}

    @property
    def memory(self) -> int:
        return _FORGOTTEN * self.windows

    def step(self, state: Columns, values: Columns) -> Columns:
        value, n = values[self.field], state["n"]
        has_value = ~np.isnan(value)
        deviation = np.sqrt(state["variance"])
        known = has_value & (n >= self.windows) & (deviation > 0)
        off = np.where(known, value - state["mean"], 0.0)
        score = np.divide(off, deviation, out=np.zeros(len(value)), where=known)
        fires = self._beyond(state, score, known)
        level = state["mean"] + self._limit * deviation
        # The first value is the mean, without a variance.
        weight = np.where(n > 0, 2 / (self.windows + 1), 1.0)
        apart = np.where(has_value, value, 0.0) - state["mean"]
        step = weight * apart
        variance = (1 - weight) * (state["variance"] + step * apart)
        state["variance"] = np.where(has_value, variance, state["variance"])
        state["mean"] = np.where(has_value, state["mean"] + step, state["mean"])
        state["n"] = n + has_value
        return {"fires": fires, "level": level}


AnyRule: TypeAlias = Threshold | Cross | Zscore


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    rule: list[AnyRule] = []


@cache
def load(path: str) -> tuple[AnyRule, ...]:
    """Return the rules of a file, which is read only once. An empty path has no rules.

    Raises
    ------
    ConfigError
        The file can't be read, or a rule isn't valid.
    """
    if not path:
        return ()
    try:
        rules = msgspec.toml.decode(Path(path).read_bytes(), type=_File).rule
    except (OSError, ValueError) as error:
        raise ConfigError(f"setting: signals={path}: {error}; see docs/signals.md") from None
    names: set[str] = set()
    for rule in rules:
        wrong = rule.wrong() or ("another rule has this name" if rule.name in names else "")
        for field in not_finite(rule):
            wrong = f"{field} isn't a finite number"
        if wrong:
            raise ConfigError(f"{path}: rule {rule.name}: {wrong}")
        names.add(rule.name)
    return tuple(rules)


def check(path: str, outputs: Mapping[str, tuple[Output, Sequence[str]]]) -> None:
    """Check that the results, fields and resolutions that rules name exist.

    Parameters
    ----------
    path
        The file of rules.
    outputs
        The outputs by name, with their resolutions.

    Raises
    ------
    ConfigError
        One of them doesn't exist.
    """
    for rule in load(path):
        where = f"{path}: rule {rule.name}"
        if rule.on not in outputs:
            raise ConfigError(f"{where}: no results are called {rule.on!r}; there are {', '.join(sorted(outputs))}")
        output, resolutions = outputs[rule.on]
        fields = numbers(output)
        for field in rule.takes:
            if field not in fields:
                raise ConfigError(f"{where}: {rule.on} has no numeric field {field!r}; it has {', '.join(fields)}")
        for resolution in rule.resolutions or ():
            if resolution not in resolutions:
                raise ConfigError(
                    f"{where}: {rule.on} has no resolution {resolution!r}; it has {', '.join(resolutions)}"
                )


def numbers(output: Output) -> list[str]:
    """Return the names of numeric fields, without ``start_ms`` and ``revision``, which identify a result."""
    return [
        one.name
        for one in msgspec.structs.fields(output.result)
        if one.type in (int, float, float | None, int | None) and one.name not in ("start_ms", "revision")
    ]

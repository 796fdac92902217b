"""Indicators: recursions over bars whose parameters a user chooses, such as the period of ``sma(20)``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from tickertape.schemas.topics import Topic
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion, Windowing


class Parameter(NamedTuple):
    """A number that a user chooses.

    Attributes
    ----------
    name, default
        Its name, and its value if none is given.
    least, most
        The least and the greatest value.
    is_whole
        Whether it has to be a whole number.
    """

    name: str
    default: float
    least: float = 1
    most: float = 1000
    is_whole: bool = True


class Formula(NamedTuple):
    """How an indicator is computed, for given parameters.

    Attributes
    ----------
    state
        The state of a series: columns, and their initial values.
    step
        As `Recursion.step`. One more metric is ``n``: how many windows the series has had, this one included. What it
        returns before a value's first window is ignored.
    first
        By value: the number of the window with which it begins, 1 for the first.
    memory
        See `Recursion`.
    """

    state: Schema
    step: Callable[[Columns, Columns], Columns]
    first: Mapping[str, int]
    memory: int


@dataclass(frozen=True)
class Indicator:
    """A recursion with parameters. An agent's file defines one, and the setting ``indicators`` turns it on.

    A result is published for each window. Before the warm-up is over, its values are null.

    Attributes
    ----------
    name
        The name in the setting.
    of, takes, sink
        See `Recursion`.
    result
        The Struct of a result, without a tag: ``symbol``, ``source``, ``resolution``, ``start_ms``, values that may be
        null, ``ready``, ``missing_bars``, ``final``, ``revision``, ``incomplete``, and any metrics that it takes.
    parameters
        The parameters, in the order in which they are given.
    formula
        Takes the values of the parameters, and the mode if there are several. It raises ``ValueError`` if the values
        don't go together.
    modes
        The ways to compute it; the first is the default.
    """

    name: str
    of: Windowing
    takes: tuple[str, ...]
    sink: Topic
    result: type[msgspec.Struct]
    parameters: tuple[Parameter, ...]
    formula: Callable[..., Formula]
    modes: tuple[str, ...] = ()

    def kind(self, values: Sequence[float], mode: str = "") -> str:
        """Return the kind of the results: ``macd_12_26_9``, ``ema_12_tradingview``."""
        names = [mode] if mode and mode != self.modes[0] else []
        return "_".join([self.name, *(f"{value:g}" for value in values), *names])

    def recursion(self, values: Sequence[float], mode: str = "", resolutions: tuple[str, ...] = ("1m",)) -> Recursion:
        """Return the recursion with these values of all parameters, for windows of these resolutions.

        Raises
        ------
        ValueError
            The values don't go together.
        """
        mode = mode or (self.modes[0] if self.modes else "")
        formula = self.formula(*values, *([mode] if self.modes else []))
        kind = self.kind(values, mode)
        return Recursion(
            of=self.of,
            takes=self.takes,
            state={"n": (INT, 0), **formula.state},
            step=_counted(formula),
            sink=self.sink,
            result=msgspec.defstruct(
                self.result.__name__,
                [],
                bases=(self.result,),
                frozen=True,
                tag_field="kind",
                tag=kind,
                namespace={"__doc__": self.result.__doc__},
            ),
            memory=formula.memory,
            resolutions=resolutions,
        )


def _counted(formula: Formula) -> Callable[[Columns, Columns], Columns]:
    """Return a step that counts windows, and makes the values NaN before they begin."""
    warm_up = max(formula.first.values())

    def step(state: Columns, windows: Columns) -> Columns:
        n = state["n"]
        n += 1
        made = formula.step(state, windows | {"n": n})
        missing = np.maximum(warm_up - n, 0)
        if missing.any():
            for name, first in formula.first.items():
                made[name] = np.where(n >= first, made[name], np.nan)
        return {**made, "ready": missing == 0, "missing_bars": missing}

    return step

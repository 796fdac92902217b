"""Exponential averages of closes, of these averages, and so on: what EMA, DEMA and TEMA are made of."""

import numpy as np

from tickertape.agents.market.indicators.smoothing import (
    exponential,
    exponential_from_first,
    exponential_memory,
)
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import FLOAT


def state_of(depth: int) -> Schema:
    return {f"average_{level}": (FLOAT, 0.0) for level in range(depth)}


def cascade(state: Columns, bars: Columns, n: int, mode: str, depth: int) -> list[Floats]:
    """Move the averages of all levels; return them. In TA-Lib, each level begins when the one before it does."""
    value, found = bars["close"], []
    for level in range(depth):
        average = state[f"average_{level}"]
        if mode == "tradingview":
            exponential_from_first(average, value, bars["n"], n)
        else:
            exponential(average, value, bars["n"] - level * (n - 1), n)
        found.append(average)
        value = average
    return found


def memory_of(n: int, depth: int) -> int:
    """Return for how many bars the past matters to the last level."""
    once = exponential_memory(n)
    # The levels forget one after the other, and each takes longer than the one before it by less and less.
    return int(once * float(np.sqrt(depth))) + depth * n

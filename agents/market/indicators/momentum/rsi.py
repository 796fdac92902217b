"""The relative strength index: the share of gains in the recent changes of closes."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.agents.market.indicators.smoothing import wilder, wilder_memory
from tickertape.agents.market.indicators.windows import ratio
from tickertape.stream.engine.core.columns import Floats, Ints
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula


class RsiAt(OfBar, frozen=True):
    """Wilder's relative strength index at a bar, as JSON on the topic ``indicators``.

    With the mean gain g and the mean loss l from close to close, ``rsi = 100 · g / (g + l)`` [1]_. The first means
    are those of the first n changes, so the first index is at bar n + 1. Each later mean is ``(mean · (n − 1) +
    change) / n``. If no close has changed, the index is 0, as in TA-Lib's ``RSI``. In the mode ``tradingview`` it is
    100 then, as in the built-in indicator of TradingView; all else is the same.

    Attributes
    ----------
    rsi
        The index, from 0 to 100.

    References
    ----------
    .. [1] Wilder (1978), "New Concepts in Technical Trading Systems".
    """

    rsi: float | None


#: The state of `strength`.
STATE: Schema = {"close": (FLOAT, 0.0), "gain": (FLOAT, 0.0), "loss": (FLOAT, 0.0)}


def strength(state: Columns, close: Floats, changes: Ints, n: int) -> tuple[Floats, Floats]:
    """Move the mean gain and loss of n changes; return the index, and the sum of both.

    Parameters
    ----------
    changes
        How many changes there were so far, this one included; 0 at the first close.
    """
    change = np.where(changes < 1, 0.0, close - state["close"])
    state["close"] = close
    wilder(state["gain"], np.maximum(change, 0.0), changes, n)
    wilder(state["loss"], np.maximum(-change, 0.0), changes, n)
    total = state["gain"] + state["loss"]
    return 100 * ratio(state["gain"], total), total


def formula(n: int, mode: str) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        index, total = strength(state, bars["close"], bars["n"] - 1, n)
        return {"rsi": np.where(total > 0, index, 100.0) if mode == "tradingview" else index}

    return Formula(STATE, step, {"rsi": n + 1}, wilder_memory(n) + 10)


RSI = of_bars("rsi", RsiAt, formula, period(14, least=2), modes=MODES)

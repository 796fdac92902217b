"""The average directional index: how strong a trend is, and on which side."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.agents.market.indicators.ranges import directional_movement, true_range
from tickertape.agents.market.indicators.smoothing import wilder, wilder_memory, wilder_sum
from tickertape.agents.market.indicators.windows import ratio
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula

_STATE = ("high", "low", "close", "plus", "minus", "range", "adx")


class Adx(OfBar, frozen=True):
    """The average directional index at a bar, as JSON on the topic ``indicators``.

    Upward movement is what a bar's high is above the one before, downward movement what its low is below; the lesser
    of the two counts as 0. With Wilder's sums of n movements and true ranges, ``plus_di = 100 · up / range`` and
    ``minus_di = 100 · down / range``. ``adx`` is Wilder's average of ``100 · |plus_di − minus_di| / (plus_di +
    minus_di)`` [1]_. The first ``plus_di`` and ``minus_di`` are at bar n + 1, the first ``adx`` at bar 2 n. Without
    any range, all are 0.

    TA-Lib's ``ADX``, ``PLUS_DI`` and ``MINUS_DI`` begin with sums of n − 1 values. In the mode ``tradingview``,
    movements and ranges are averages that begin with the mean of n values, as the manual of Pine Script describes
    ``ta.dmi``.

    Attributes
    ----------
    plus_di
        The share of upward movement, in percent of the range.
    minus_di
        The share of downward movement, in percent of the range.
    adx
        The average of their difference in percent of their sum, from 0 to 100.

    References
    ----------
    .. [1] Wilder (1978), "New Concepts in Technical Trading Systems".
    """

    plus_di: float | None
    minus_di: float | None
    adx: float | None


def formula(n: int, mode: str) -> Formula:
    smoothed = wilder if mode == "tradingview" else wilder_sum

    def step(state: Columns, bars: Columns) -> Columns:
        up, down = directional_movement(bars, state["high"], state["low"])
        moves = bars["n"] - 1
        for name, value in (("plus", up), ("minus", down), ("range", true_range(bars, state["close"]))):
            smoothed(state[name], value, moves, n)
        for name in ("high", "low", "close"):
            state[name] = bars[name]
        plus, minus = 100 * ratio(state["plus"], state["range"]), 100 * ratio(state["minus"], state["range"])
        total, adx = plus + minus, state["adx"]
        before = adx.copy()
        wilder(adx, 100 * ratio(np.abs(minus - plus), total), moves - (n - 1), n)
        if mode != "tradingview":
            # A bar at which nothing has moved doesn't change TA-Lib's average.
            still = (total == 0) & (moves >= 2 * n)
            adx[still] = before[still]
        return {"plus_di": plus, "minus_di": minus, "adx": adx.copy()}

    first = {"plus_di": n + 1, "minus_di": n + 1, "adx": 2 * n}
    return Formula(dict.fromkeys(_STATE, (FLOAT, 0.0)), step, first, 2 * wilder_memory(n))


ADX = of_bars("adx", Adx, formula, period(14, least=2), modes=MODES)

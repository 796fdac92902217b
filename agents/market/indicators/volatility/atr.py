"""The average true range: how far prices go from one bar to the next, gaps included."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.agents.market.indicators.ranges import true_range
from tickertape.agents.market.indicators.smoothing import wilder, wilder_memory
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula


class Atr(OfBar, frozen=True):
    """The average true range at a bar, as JSON on the topic ``indicators``.

    The true range is the range of a bar and the close before it. The average is Wilder's: it begins with the mean of
    the first n true ranges, and each later one is ``(average · (n − 1) + range) / n`` [1]_. The first bar has none,
    so the first result is at bar n + 1, as in TA-Lib's ``ATR``. In the mode ``tradingview``, the first bar's is high
    − low, and the first result is at the n-th bar, as the manual of Pine Script describes ``ta.atr``.

    Attributes
    ----------
    atr
        The average, in units of the price.

    References
    ----------
    .. [1] Wilder (1978), "New Concepts in Technical Trading Systems".
    """

    atr: float | None


def formula(n: int, mode: str) -> Formula:
    skipped = 0 if mode == "tradingview" else 1

    def step(state: Columns, bars: Columns) -> Columns:
        # Before the first bar, its own close will do: the true range is that of the bar then.
        before = np.where(bars["n"] == 1, bars["close"], state["close"])
        wilder(state["average"], true_range(bars, before), bars["n"] - skipped, n)
        state["close"] = bars["close"]
        return {"atr": state["average"].copy()}

    state = {"close": (FLOAT, 0.0), "average": (FLOAT, 0.0)}
    return Formula(state, step, {"atr": n + skipped}, wilder_memory(n) + 1)


ATR = of_bars("atr", Atr, formula, period(14), modes=MODES)

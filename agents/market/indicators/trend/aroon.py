"""Aroon: how long ago the highest high and the lowest low were."""

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import bars_since, pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Aroon(OfBar, frozen=True):
    """Aroon at a bar, as JSON on the topic ``indicators``.

    Of the last n + 1 bars, the highest high was i bars ago, the newest of equal ones: ``up = 100 · (n − i) / n``, and
    ``down`` likewise of the lowest low [1]_. The first is at bar n + 1. TA-Lib's ``AROON``.

    Attributes
    ----------
    up
        100 if this bar has the highest high, 0 if it was n bars ago.
    down
        100 if this bar has the lowest low, 0 if it was n bars ago.

    References
    ----------
    .. [1] Chande (1995), "A Time Price Oscillator", Technical Analysis of Stocks & Commodities 13(9).
    """

    up: float | None
    down: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        highs = state["highs"] = pushed(state["highs"], bars["high"])
        lows = state["lows"] = pushed(state["lows"], bars["low"])
        return {"up": 100 / n * (n - bars_since(highs)), "down": 100 / n * (n - bars_since(-lows))}

    state = {"highs": window(n + 1), "lows": window(n + 1)}
    return Formula(state, step, {"up": n + 1, "down": n + 1}, memory=n + 1)


AROON = of_bars("aroon", Aroon, formula, period(14, least=2))

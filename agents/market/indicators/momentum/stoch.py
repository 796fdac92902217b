"""The slow stochastic oscillator: the fast one, averaged twice."""

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import mean, position, pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Stoch(OfBar, frozen=True):
    """The slow stochastic oscillator at a bar, as JSON on the topic ``indicators``.

    The position of the close between the lowest low and the highest high of the last k bars is 100 at the high, and 0
    if both are equal. ``slow_k`` is the mean of the last positions, and ``slow_d`` the mean of the last ``slow_k``
    [1]_. The first result is at bar k + smooth + d − 2. TA-Lib's ``STOCH`` with simple averages.

    Attributes
    ----------
    slow_k
        The mean of the last positions, as many as ``smooth``.
    slow_d
        The mean of the last d values of slow_k.

    References
    ----------
    .. [1] Lane (1984), "Lane's Stochastics", Technical Analysis of Stocks & Commodities 2(3).
    """

    slow_k: float | None
    slow_d: float | None


def formula(k: int, smooth: int, d: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        highs = state["highs"] = pushed(state["highs"], bars["high"])
        lows = state["lows"] = pushed(state["lows"], bars["low"])
        positions = state["positions"] = pushed(state["positions"], position(bars["close"], highs, lows))
        slow_k = mean(positions)
        last = state["slow_k"] = pushed(state["slow_k"], slow_k)
        return {"slow_k": slow_k, "slow_d": mean(last)}

    state = {"highs": window(k), "lows": window(k), "positions": window(smooth), "slow_k": window(d)}
    first = k + smooth + d - 2
    return Formula(state, step, dict.fromkeys(("slow_k", "slow_d"), first), memory=first)


STOCH = of_bars("stoch", Stoch, formula, period(5, "k"), period(3, "smooth"), period(3, "d"))

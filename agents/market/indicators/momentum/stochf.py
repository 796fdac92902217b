"""The fast stochastic oscillator: where the close is between the lowest low and the highest high."""

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import mean, position, pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Stochf(OfBar, frozen=True):
    """The fast stochastic oscillator at a bar, as JSON on the topic ``indicators``.

    With the lowest low and the highest high of the last k bars, ``fast_k = 100 · (close − low) / (high − low)``, 0 if
    these are equal; ``fast_d`` is the mean of the last d values of it [1]_. The first result is at bar k + d − 1.
    TA-Lib's ``STOCHF`` with simple averages.

    Attributes
    ----------
    fast_k
        The position of the close, from 0 to 100.
    fast_d
        The mean of the last positions.

    References
    ----------
    .. [1] Lane (1984), "Lane's Stochastics", Technical Analysis of Stocks & Commodities 2(3).
    """

    fast_k: float | None
    fast_d: float | None


def formula(k: int, d: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        highs = state["highs"] = pushed(state["highs"], bars["high"])
        lows = state["lows"] = pushed(state["lows"], bars["low"])
        fast_k = position(bars["close"], highs, lows)
        last = state["fast_k"] = pushed(state["fast_k"], fast_k)
        return {"fast_k": fast_k, "fast_d": mean(last)}

    state = {"highs": window(k), "lows": window(k), "fast_k": window(d)}
    return Formula(state, step, dict.fromkeys(("fast_k", "fast_d"), k + d - 1), memory=k + d - 1)


STOCHF = of_bars("stochf", Stochf, formula, period(5, "k"), period(3, "d"))

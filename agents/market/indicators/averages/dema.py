"""The double exponential moving average, which lags less than a single one."""

from tickertape.agents.market.indicators.averages.cascade import cascade, memory_of, state_of
from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Dema(OfBar, frozen=True):
    """The double exponential moving average at a bar, as JSON on the topic ``indicators``.

    It is ``2 · ema − ema of ema``, all with the period n [1]_. Each average begins with the mean of the first n values
    of the one before it, so the first result is at bar 2 (n − 1) + 1. TA-Lib's ``DEMA``. In the mode ``tradingview``
    all begin with the first close.

    Attributes
    ----------
    dema
        The average.

    References
    ----------
    .. [1] Mulloy (1994), "Smoothing Data With Faster Moving Averages", Technical Analysis of Stocks & Commodities
       12(1).
    """

    dema: float | None


def formula(n: int, mode: str) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        once, twice = cascade(state, bars, n, mode, depth=2)
        return {"dema": 2 * once - twice}

    first = 1 if mode == "tradingview" else 2 * (n - 1) + 1
    return Formula(state_of(2), step, {"dema": first}, memory_of(n, 2))


DEMA = of_bars("dema", Dema, formula, period(30), modes=MODES)

"""The triple exponential moving average, which lags less than a single one."""

from tickertape.agents.market.indicators.averages.cascade import cascade, memory_of, state_of
from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Tema(OfBar, frozen=True):
    """The triple exponential moving average at a bar, as JSON on the topic ``indicators``.

    It is ``3 · ema − 3 · ema of ema + ema of ema of ema``, all with the period n [1]_. Each average begins with the
    mean of the first n values of the one before it, so the first result is at bar 3 (n − 1) + 1. TA-Lib's ``TEMA``. In
    the mode ``tradingview`` all begin with the first close.

    Attributes
    ----------
    tema
        The average.

    References
    ----------
    .. [1] Mulloy (1994), "Smoothing Data With Less Lag", Technical Analysis of Stocks & Commodities 12(2).
    """

    tema: float | None


def formula(n: int, mode: str) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        once, twice, thrice = cascade(state, bars, n, mode, depth=3)
        return {"tema": 3 * once - 3 * twice + thrice}

    first = 1 if mode == "tradingview" else 3 * (n - 1) + 1
    return Formula(state_of(3), step, {"tema": first}, memory_of(n, 3))


TEMA = of_bars("tema", Tema, formula, period(30), modes=MODES)

"""The simple moving average: the mean of the last closes."""

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import mean, pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Sma(OfBar, frozen=True):
    """The simple moving average at a bar, as JSON on the topic ``indicators``.

    It is the mean of the last n closes [1]_, first at the n-th bar. TA-Lib's ``SMA``.

    Attributes
    ----------
    sma
        The average.

    References
    ----------
    .. [1] Murphy (1999), "Technical Analysis of the Financial Markets", chapter 9.
    """

    sma: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        closes = state["closes"] = pushed(state["closes"], bars["close"])
        return {"sma": mean(closes)}

    return Formula({"closes": window(n)}, step, {"sma": n}, memory=n)


SMA = of_bars("sma", Sma, formula, period(30))

"""The commodity channel index: how far the typical price is from its mean, in mean deviations."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.ranges import typical_price
from tickertape.agents.market.indicators.windows import mean, pushed, ratio, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Cci(OfBar, frozen=True):
    """The commodity channel index at a bar, as JSON on the topic ``indicators``.

    With the typical price p = (high + low + close) / 3, the mean m of the last n of them, and the mean d of their
    distances from m, ``cci = (p − m) / (0.015 · d)`` [1]_, 0 if all are equal. The first is at the n-th bar. TA-Lib's
    ``CCI``.

    Attributes
    ----------
    cci
        The index.

    References
    ----------
    .. [1] Lambert (1980), "Commodity Channel Index: Tool for Trading Cyclic Trends", Commodities 9(10).
    """

    cci: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        price = typical_price(bars)
        prices = state["prices"] = pushed(state["prices"], price)
        middle = mean(prices)
        deviation = np.abs(prices - middle[:, None]).sum(axis=1) / n
        return {"cci": ratio(price - middle, 0.015 * deviation)}

    return Formula({"prices": window(n)}, step, {"cci": n}, memory=n)


CCI = of_bars("cci", Cci, formula, period(14, least=2))

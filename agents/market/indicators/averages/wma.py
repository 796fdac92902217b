"""The weighted moving average: a mean of the last closes in which newer ones weigh more."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Wma(OfBar, frozen=True):
    """The weighted moving average at a bar, as JSON on the topic ``indicators``.

    The newest of the last n closes has the weight n, the oldest 1 [1]_. The first average is at the n-th bar. TA-Lib's
    ``WMA``.

    Attributes
    ----------
    wma
        The average.

    References
    ----------
    .. [1] Murphy (1999), "Technical Analysis of the Financial Markets", chapter 9.
    """

    wma: float | None


def formula(n: int) -> Formula:
    weights = np.arange(1.0, n + 1)

    def step(state: Columns, bars: Columns) -> Columns:
        closes = state["closes"] = pushed(state["closes"], bars["close"])
        average = (closes * weights).sum(axis=1) / (n * (n + 1) / 2)
        # Rounding must not move the average of equal closes away from them.
        return {"wma": np.clip(average, closes.min(axis=1), closes.max(axis=1))}

    return Formula({"closes": window(n)}, step, {"wma": n}, memory=n)


WMA = of_bars("wma", Wma, formula, period(30))

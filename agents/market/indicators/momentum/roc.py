"""The rate of change: by how many percent a close differs from one some bars before."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Roc(OfBar, frozen=True):
    """The rate of change at a bar, as JSON on the topic ``indicators``.

    With the close c and the one n bars before, ``roc = (c / before − 1) · 100`` [1]_. The first is at bar n + 1.
    TA-Lib's ``ROC``.

    Attributes
    ----------
    roc
        The change in percent.

    References
    ----------
    .. [1] Murphy (1999), "Technical Analysis of the Financial Markets", chapter 10.
    """

    roc: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        closes = state["closes"] = pushed(state["closes"], bars["close"])
        # A window that isn't full has zeros.
        before = np.where(bars["n"] > n, closes[:, 0], 1.0)
        return {"roc": (bars["close"] / before - 1) * 100}

    return Formula({"closes": window(n + 1)}, step, {"roc": n + 1}, memory=n + 1)


ROC = of_bars("roc", Roc, formula, period(10))

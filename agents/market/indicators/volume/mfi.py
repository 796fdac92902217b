"""The money flow index: the share of bars that rise in the money that changed hands."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.ranges import typical_price
from tickertape.agents.market.indicators.windows import pushed, ratio, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula


class Mfi(OfBar, frozen=True):
    """The money flow index at a bar, as JSON on the topic ``indicators``.

    The money of a bar is its typical price, (high + low + close) / 3, times its volume. It counts as in if the
    typical price is above the one before, as out if it is below. ``mfi = 100 · in / (in + out)`` over the last n bars
    [1]_, 0 if there is neither. The first is at bar n + 1. TA-Lib's ``MFI``, which says 0 also if ``in + out`` is
    less than 1.

    Attributes
    ----------
    mfi
        The index, from 0 to 100.

    References
    ----------
    .. [1] Quong, Soudack (1989), "Volume-Weighted RSI: Money Flow", Technical Analysis of Stocks & Commodities 7(3).
    """

    mfi: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        price = typical_price(bars)
        change, money = price - state["price"], price * bars["volume"]
        state["price"] = price
        rising = state["in"] = pushed(state["in"], np.where(change > 0, money, 0.0))
        falling = state["out"] = pushed(state["out"], np.where(change < 0, money, 0.0))
        into = rising.sum(axis=1)
        return {"mfi": 100 * ratio(into, into + falling.sum(axis=1))}

    return Formula({"price": (FLOAT, 0.0), "in": window(n), "out": window(n)}, step, {"mfi": n + 1}, memory=n + 1)


MFI = of_bars("mfi", Mfi, formula, period(14, least=2))

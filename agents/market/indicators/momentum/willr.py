"""Williams' %R: how far the close is below the highest high."""

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import pushed, ratio, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Willr(OfBar, frozen=True):
    """Williams' %R at a bar, as JSON on the topic ``indicators``.

    With the lowest low and the highest high of the last n bars, ``willr = −100 · (high − close) / (high − low)`` [1]_;
    0 if these are equal. The first is at the n-th bar. TA-Lib's ``WILLR``.

    Attributes
    ----------
    willr
        From −100, at the lowest low, to 0, at the highest high.

    References
    ----------
    .. [1] Williams (1973), "How I Made One Million Dollars Last Year Trading Commodities".
    """

    willr: float | None


def formula(n: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        highs = state["highs"] = pushed(state["highs"], bars["high"])
        lows = state["lows"] = pushed(state["lows"], bars["low"])
        highest = highs.max(axis=1)
        return {"willr": ratio(highest - bars["close"], (highest - lows.min(axis=1)) / -100)}

    return Formula({"highs": window(n), "lows": window(n)}, step, {"willr": n}, memory=n)


WILLR = of_bars("willr", Willr, formula, period(14, least=2))

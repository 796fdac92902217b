"""Bollinger bands: the mean of the last closes, and some standard deviations on either side."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.windows import mean, pushed, window
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula, Parameter

# A deviation below this share of the mean is due to rounding: a float's precision is 1e-16.
_ROUNDING = 1e-14


class Bbands(OfBar, frozen=True):
    """The Bollinger bands at a bar, as JSON on the topic ``indicators``.

    With the mean m of the last n closes and their standard deviation s (of all n, not of a sample), the bands are at
    ``m ± w · s`` [1]_. The first result is at the n-th bar. TA-Lib's ``BBANDS`` with a simple average. Where closes
    differ by their rounding alone, the bands coincide.

    Attributes
    ----------
    lower
        The lower band.
    middle
        The mean of the last closes.
    upper
        The upper band.
    percent_b
        The position of the close: 0 on the lower band, 1 on the upper. Null if both are equal.
    bandwidth
        (upper − lower) / middle.

    References
    ----------
    .. [1] Bollinger (2001), "Bollinger on Bollinger Bands".
    """

    lower: float | None
    middle: float | None
    upper: float | None
    percent_b: float | None
    bandwidth: float | None


def bands(closes: Floats, width: float) -> Columns:
    """Return the bands of windows of closes, some deviations wide on either side."""
    close, middle = closes[:, -1], mean(closes)
    deviation = np.sqrt(np.square(closes - middle[:, None]).sum(axis=1) / closes.shape[1])
    deviation[deviation <= _ROUNDING * middle] = 0.0
    lower, upper = middle - width * deviation, middle + width * deviation
    spread = upper - lower
    return {
        "lower": lower,
        "middle": middle,
        "upper": upper,
        "percent_b": np.divide(close - lower, spread, out=np.full_like(spread, np.nan), where=spread > 0),
        "bandwidth": spread / middle,
    }


def formula(n: int, width: float) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        closes = state["closes"] = pushed(state["closes"], bars["close"])
        return bands(closes, width)

    names = ("lower", "middle", "upper", "percent_b", "bandwidth")
    return Formula({"closes": window(n)}, step, dict.fromkeys(names, n), memory=n)


BBANDS = of_bars("bbands", Bbands, formula, period(20, least=2), Parameter("width", 2, 0, 100, is_whole=False))

"""On-balance volume: the volume of bars that rise less the volume of bars that fall."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula

# A sum forgets nothing: after a gap in the past, it is incomplete for good.
_MEMORY = 1 << 39


class Obv(OfBar, frozen=True):
    """On-balance volume at a bar, as JSON on the topic ``indicators``.

    It begins with the volume of the first bar. A bar that closes above the one before adds its volume, one that closes
    below takes it away [1]_. TA-Lib's ``OBV``. Only its changes mean something: where it began is chance.

    Attributes
    ----------
    obv
        The sum.

    References
    ----------
    .. [1] Granville (1963), "Granville's New Key to Stock Market Profits".
    """

    obv: float | None


def formula() -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        side = np.where(bars["n"] == 1, 1.0, np.sign(bars["close"] - state["close"]))
        state["obv"] += side * bars["volume"]
        state["close"] = bars["close"]
        return {"obv": state["obv"].copy()}

    return Formula({"close": (FLOAT, 0.0), "obv": (FLOAT, 0.0)}, step, {"obv": 1}, _MEMORY)


OBV = of_bars("obv", Obv, formula)

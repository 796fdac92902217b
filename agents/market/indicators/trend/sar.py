"""The parabolic stop and reverse: a stop that follows a trend, ever faster, until a price reaches it."""

import numpy as np

from tickertape.agents.market.indicators.of_bars import OfBar, of_bars
from tickertape.agents.market.indicators.ranges import directional_movement
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula, Parameter

_STATE: Schema = {
    **dict.fromkeys(("high", "low", "stop", "extreme", "pace"), (FLOAT, 0.0)),
    # 1 in a rising trend, -1 in a falling one.
    "side": (FLOAT, 1.0),
}
# A stop forgets the past once its trend has turned twice or so. No number of bars is certain.
_MEMORY = 1000


class Sar(OfBar, frozen=True):
    """The parabolic stop and reverse at a bar, as JSON on the topic ``indicators``.

    In a rising trend, ``stop = stop + a · (highest − stop)``, at most the last two lows. The acceleration a grows
    with each new high by the parameter, up to the maximum. A low at or below the stop turns the trend: the stop then
    is at the highest high, and falls [1]_. The trend falls at first if the second bar's downward movement is greater
    than the upward one. The first result is at the second bar. TA-Lib's ``SAR``. TradingView's begins otherwise.

    Attributes
    ----------
    sar
        The stop: below the prices of a rising trend, above those of a falling one.

    References
    ----------
    .. [1] Wilder (1978), "New Concepts in Technical Trading Systems".
    """

    sar: float | None


def formula(acceleration: float, maximum: float) -> Formula:
    step_by = min(acceleration, maximum)

    def step(state: Columns, bars: Columns) -> Columns:
        n, high, low = bars["n"], bars["high"], bars["low"]
        _begin(state, bars, step_by)
        # A falling trend is a rising one of negative prices.
        side = state["side"]
        rises = side > 0
        top, bottom = np.where(rises, high, -low), np.where(rises, low, -high)
        # In TA-Lib, the second bar counts as its own predecessor.
        older_high, older_low = np.where(n <= 2, high, state["high"]), np.where(n <= 2, low, state["low"])
        older_top, older_bottom = np.where(rises, older_high, -older_low), np.where(rises, older_low, -older_high)
        stop, extreme, pace = state["stop"] * side, state["extreme"] * side, state["pace"]
        turns = bottom <= stop
        shown = np.where(turns, np.maximum(np.maximum(extreme, older_top), top), stop)
        further = ~turns & (top > extreme)
        pace = np.where(turns, step_by, np.where(further, np.minimum(pace + step_by, maximum), pace))
        extreme = np.where(turns, bottom, np.where(further, top, extreme))
        stop = shown + pace * (extreme - shown)
        over, under = np.maximum(np.maximum(stop, older_top), top), np.minimum(np.minimum(stop, older_bottom), bottom)
        state["stop"], state["extreme"] = np.where(turns, over, under) * side, extreme * side
        state["pace"], state["side"] = pace, np.where(turns, -side, side)
        state["high"], state["low"] = high, low
        return {"sar": shown * side}

    return Formula(_STATE, step, {"sar": 2}, _MEMORY)


def _begin(state: Columns, bars: Columns, acceleration: float) -> None:
    """Begin the trends of series at their second bar."""
    begins = np.flatnonzero(bars["n"] <= 2)
    if not begins.size:
        return
    some = {name: bars[name][begins] for name in ("high", "low")}
    high, low = state["high"][begins], state["low"][begins]
    _, down = directional_movement(some, high, low)
    rises = ~(down > 0)
    state["side"][begins] = np.where(rises, 1.0, -1.0)
    state["extreme"][begins] = np.where(rises, some["high"], some["low"])
    state["stop"][begins] = np.where(rises, low, high)
    state["pace"][begins] = acceleration


SAR = of_bars(
    "sar", Sar, formula, Parameter("acceleration", 0.02, 0, 1, is_whole=False), Parameter("maximum", 0.2, 0, 1, False)
)

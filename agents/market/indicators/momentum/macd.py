"""Moving average convergence and divergence: a fast average less a slow one, and an average of that."""

from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.agents.market.indicators.smoothing import exponential, exponential_from_first, exponential_memory
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT
from tickertape.stream.engine.define.indicator import Formula


class Macd(OfBar, frozen=True):
    """MACD at a bar, as JSON on the topic ``indicators``.

    ``macd`` is the fast exponential average of closes less the slow one, ``signal`` is the exponential average of
    ``macd``, and ``histogram`` their difference [1]_. As in TA-Lib's ``MACD``, both averages begin at the bar at which
    the slow one can: each with the mean of the last closes up to it, as many as its period. The signal begins with the
    mean of as many values as its period, and the first result is there, at bar slow + signal − 1. In the mode
    ``tradingview`` all averages begin with the first close.

    Attributes
    ----------
    macd
        The fast average less the slow one.
    signal
        The average of these differences.
    histogram
        macd − signal.

    References
    ----------
    .. [1] Appel (2005), "Technical Analysis: Power Tools for Active Investors".
    """

    macd: float | None
    signal: float | None
    histogram: float | None


def formula(fast: int, slow: int, signal: int, mode: str) -> Formula:
    if fast >= slow:
        raise ValueError(f"the fast period is {fast}, but must be less than the slow one, {slow}")

    def step(state: Columns, bars: Columns) -> Columns:
        close, n = bars["close"], bars["n"]
        if mode == "tradingview":
            exponential_from_first(state["fast"], close, n, fast)
            exponential_from_first(state["slow"], close, n, slow)
            macd = state["fast"] - state["slow"]
            exponential_from_first(state["signal"], macd, n, signal)
        else:
            exponential(state["fast"], close, n - (slow - fast), fast)
            exponential(state["slow"], close, n, slow)
            macd = state["fast"] - state["slow"]
            exponential(state["signal"], macd, n - (slow - 1), signal)
        return {"macd": macd, "signal": state["signal"].copy(), "histogram": macd - state["signal"]}

    first = 1 if mode == "tradingview" else slow + signal - 1
    memory = exponential_memory(slow) + exponential_memory(signal)
    state = dict.fromkeys(("fast", "slow", "signal"), (FLOAT, 0.0))
    return Formula(state, step, dict.fromkeys(("macd", "signal", "histogram"), first), memory)


MACD = of_bars(
    "macd", Macd, formula, period(12, "fast", least=2), period(26, "slow", least=2), period(9, "signal"), modes=MODES
)

"""The stochastic oscillator of the relative strength index."""

from tickertape.agents.market.indicators.momentum.rsi import STATE, strength
from tickertape.agents.market.indicators.of_bars import OfBar, of_bars, period
from tickertape.agents.market.indicators.smoothing import wilder_memory
from tickertape.agents.market.indicators.windows import mean, position, pushed, window
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class Stochrsi(OfBar, frozen=True):
    """The stochastic oscillator of the relative strength index at a bar, as JSON on the topic ``indicators``.

    ``fast_k`` is where the index is between the least and the greatest of its last k values, from 0 to 100, and 0 if
    these are equal; ``fast_d`` is the mean of the last d values of it [1]_. The first result is at bar n + k + d − 1.
    TA-Lib's ``STOCHRSI`` with a simple average. TradingView's averages ``fast_k`` once more.

    Attributes
    ----------
    fast_k
        The position of the index, from 0 to 100.
    fast_d
        The mean of the last positions.

    References
    ----------
    .. [1] Chande, Kroll (1994), "The New Technical Trader".
    """

    fast_k: float | None
    fast_d: float | None


def formula(n: int, k: int, d: int) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        index, _ = strength(state, bars["close"], bars["n"] - 1, n)
        indices = state["indices"] = pushed(state["indices"], index)
        fast_k = position(index, indices, indices)
        last = state["fast_k"] = pushed(state["fast_k"], fast_k)
        return {"fast_k": fast_k, "fast_d": mean(last)}

    state = {**STATE, "indices": window(k), "fast_k": window(d)}
    # A position divides by the range of few indices, so it forgets later than the index.
    memory = 2 * wilder_memory(n) + k + d
    return Formula(state, step, dict.fromkeys(("fast_k", "fast_d"), n + k + d - 1), memory)


STOCHRSI = of_bars("stochrsi", Stochrsi, formula, period(14, least=2), period(5, "k"), period(3, "d"))

"""The exponential moving average of closes."""

from tickertape.agents.market.indicators.averages.cascade import cascade, memory_of, state_of
from tickertape.agents.market.indicators.of_bars import MODES, OfBar, of_bars, period
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Formula


class EmaAt(OfBar, frozen=True):
    """The exponential moving average at a bar, as JSON on the topic ``indicators``.

    With closes c and a period n, ``ema = ema + 2 / (n + 1) · (c − ema)`` [1]_. The first average is at the n-th bar:
    the mean of the first n closes, as in TA-Lib's ``EMA``. In the mode ``tradingview`` it is the first close, at the
    first bar, as the manual of Pine Script describes ``ta.ema``.

    Attributes
    ----------
    ema
        The average.

    References
    ----------
    .. [1] Brown (1959), "Statistical Forecasting for Inventory Control".
    """

    ema: float | None


def formula(n: int, mode: str) -> Formula:
    def step(state: Columns, bars: Columns) -> Columns:
        (first,) = cascade(state, bars, n, mode, depth=1)
        return {"ema": first.copy()}

    first = 1 if mode == "tradingview" else n
    return Formula(state_of(1), step, {"ema": first}, memory_of(n, 1))


EMA = of_bars("ema", EmaAt, formula, period(12), modes=MODES)

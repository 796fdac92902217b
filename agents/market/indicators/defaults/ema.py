"""Exponential moving averages of closes: a fast and a slow one, which cross when a trend turns."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.indicators.smoothing import exponential
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Recursion

FAST, SLOW = 12, 26


class Ema(Struct, frozen=True, tag_field="kind", tag="ema"):
    """The fast and the slow exponential moving average at a bar, as JSON on the topic ``indicators``.

    With closes c and a period n, ``ema = ema + 2 / (n + 1) · (c − ema)`` [1]_. The first average is at the n-th bar:
    the mean of the first n closes, as in TA-Lib.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series.
    start_ms
        The start of the bar: event time since 1970 UTC.
    close
        The bar's close.
    fast
        The average with a period of 12 bars.
    slow
        The average with a period of 26 bars; null before the 26th.
    final
        True.
    revision
        The number of trades in all bars up to this one.
    incomplete
        True while missing trades still affect the averages.

    References
    ----------
    .. [1] Brown (1959), "Statistical Forecasting for Inventory Control".
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    close: float
    fast: float | None
    slow: float | None
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, bars: Columns) -> Columns:
    close, n = bars["close"], state["n"]
    n += 1
    for name, period in (("fast", FAST), ("slow", SLOW)):
        exponential(state[name], close, n, period)
    return {name: np.where(n >= period, state[name], np.nan) for name, period in (("fast", FAST), ("slow", SLOW))}


EMA = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    state={"n": (INT, 0), "fast": (FLOAT, 0.0), "slow": (FLOAT, 0.0)},
    step=step,
    sink=INDICATORS,
    result=Ema,
    # After so many bars, a close's weight is below a billionth: (1 - 2 / (n + 1)) ** 280 < 1e-9.
    memory=280,
)

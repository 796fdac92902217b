"""Exponential moving averages of the closes of bars: a fast and a slow one, whose crossing tells a trend's turn."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Recursion

FAST, SLOW = 12, 26


class Ema(Struct, frozen=True, tag_field="kind", tag="ema"):
    """Exponential moving averages up to one bar; JSON on the topic ``indicators``.

    With closes c and a period n, ``ema = ema + 2 / (n + 1) · (c − ema)`` [1]_; the first is the mean of the first n
    closes, as TA-Lib has it, and before it there is none.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        The bar's.
    close
        Its close.
    fast, slow
        Of 12 and of 26 bars; ``slow`` is null before the 26th.
    final
        True.
    revision
        The number of trades in all bars up to here.
    incomplete
        True where trades are missing, and the averages still show it.

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
        average = state[name]
        # The sum of what came first, until there is a mean of it.
        average += np.where(n <= period, close, 2 / (period + 1) * (close - average))
        average[n == period] /= period
    return {name: np.where(n >= period, state[name], np.nan) for name, period in (("fast", FAST), ("slow", SLOW))}


EMA = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    state={"n": (INT, 0), "fast": (FLOAT, 0.0), "slow": (FLOAT, 0.0)},
    step=step,
    sink=INDICATORS,
    result=Ema,
    # After so many bars a billionth is left: (1 - 2 / (n + 1)) ** 280 < 1e-9.
    memory=280,
)

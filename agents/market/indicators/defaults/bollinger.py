"""Bollinger bands: the mean of the last 20 closes, and two standard deviations on either side."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.indicators.volatility.bbands import bands
from tickertape.agents.market.indicators.windows import pushed, window
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion

PERIOD = 20
WIDTH = 2.0


class Bollinger(Struct, frozen=True, tag_field="kind", tag="bollinger"):
    """The Bollinger bands at a bar, as JSON on the topic ``indicators``.

    With the mean m of the last n closes and their standard deviation s (of all n, not of a sample), the bands are at
    ``m ± 2 s`` [1]_. The first result is at the n-th bar.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series.
    start_ms
        The start of the bar: event time since 1970 UTC.
    close
        The bar's close.
    lower
        The lower band: middle less two standard deviations.
    middle
        The mean of the last 20 closes.
    upper
        The upper band: middle plus two standard deviations.
    percent_b
        The position of the close: 0 on the lower band, 1 on the upper. Null if both are equal but for rounding.
    bandwidth
        (upper − lower) / middle.
    final
        True.
    revision
        The number of trades in all bars up to this one.
    incomplete
        True if one of the 20 bars lacks trades.

    References
    ----------
    .. [1] Bollinger (2001), "Bollinger on Bollinger Bands".
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    close: float
    lower: float
    middle: float
    upper: float
    percent_b: float | None
    bandwidth: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, bars: Columns) -> Columns:
    closes = state["closes"] = pushed(state["closes"], bars["close"])
    n = state["n"]
    n += 1
    there = np.where(n >= PERIOD, 1.0, np.nan)
    return {name: column * there for name, column in bands(closes, WIDTH).items()}


BOLLINGER = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    state={"n": (INT, 0), "closes": window(PERIOD)},
    step=step,
    sink=INDICATORS,
    result=Bollinger,
    memory=PERIOD,
)

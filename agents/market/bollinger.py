"""Bollinger bands: the mean of the last 20 closes, and two standard deviations on either side."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion

PERIOD = 20
WIDTH = 2.0
# A deviation below this share of the mean is due to rounding: a float's precision is 1e-16.
ROUNDING = 1e-14


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
    # In time order, so that every owner computes the same sum to the last bit.
    closes = state["closes"] = np.column_stack([state["closes"][:, 1:], bars["close"]])
    n = state["n"]
    n += 1
    # Keep rounding from moving the mean out of the closes' range, so that bands of equal closes coincide.
    middle = np.clip(closes.sum(axis=1) / PERIOD, closes.min(axis=1), closes.max(axis=1))
    deviation = np.sqrt(np.square(closes - middle[:, None]).sum(axis=1) / PERIOD)
    deviation[deviation <= ROUNDING * middle] = 0.0
    lower, upper = middle - WIDTH * deviation, middle + WIDTH * deviation
    spread = upper - lower
    there = np.where(n >= PERIOD, 1.0, np.nan)
    return {
        "lower": lower * there,
        "middle": middle * there,
        "upper": upper * there,
        "percent_b": np.divide(bars["close"] - lower, spread, out=np.full_like(spread, np.nan), where=spread > 0)
        * there,
        "bandwidth": spread / middle * there,
    }


BOLLINGER = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    state={"n": (INT, 0), "closes": (np.dtype((np.float64, (PERIOD,))), 0.0)},
    step=step,
    sink=INDICATORS,
    result=Bollinger,
    memory=PERIOD,
)

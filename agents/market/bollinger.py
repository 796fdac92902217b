"""Bollinger bands: the mean of the last closes, and two standard deviations on either side."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion

PERIOD = 20
WIDTH = 2.0
# Closes that differ by less, as a share of their mean, differ by how they were rounded: a float has 1e-16.
ROUNDING = 1e-14


class Bollinger(Struct, frozen=True, tag_field="kind", tag="bollinger"):
    """Bollinger bands up to one bar; JSON on the topic ``indicators``.

    With the mean m of the last n closes and their standard deviation s (of all n, not of a sample), the bands are at
    ``m ± 2 s`` [1]_; before the n-th bar there are none.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        The bar's.
    close
        Its close.
    lower, middle, upper
        The bands and their mean, of 20 closes.
    percent_b
        Where the close lies: 0 on the lower band, 1 on the upper; null where they are one, to
        rounding.
    bandwidth
        (upper − lower) / middle.
    final
        True.
    revision
        The number of trades in all bars up to here.
    incomplete
        True where trades are missing in one of the 20.

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
    # In time order, so that the sum is the same whoever makes it.
    closes = state["closes"] = np.column_stack([state["closes"][:, 1:], bars["close"]])
    n = state["n"]
    n += 1
    # Rounding takes no mean out of what it is the mean of, so bands of equal closes are one.
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

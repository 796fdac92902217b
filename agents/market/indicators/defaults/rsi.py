"""The relative strength index: the share of gains in the recent changes of closes."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import TRADE_BARS
from tickertape.agents.market.indicators.momentum.rsi import STATE, strength
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.define.recipes import Recursion

PERIOD = 14


class Rsi(Struct, frozen=True, tag_field="kind", tag="rsi"):
    """Wilder's relative strength index at a bar, as JSON on the topic ``indicators``.

    With the mean gain g and the mean loss l from close to close, ``rsi = 100 · g / (g + l)`` [1]_. The first means are
    those of the first n changes, and there is no index before. Each later mean is ``(mean · (n − 1) + change) / n``. As
    in TA-Lib, the index is 0 if no close has changed.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series.
    start_ms
        The start of the bar: event time since 1970 UTC.
    close
        The bar's close.
    rsi
        The index with a period of 14 changes, from 0 to 100.
    final
        True.
    revision
        The number of trades in all bars up to this one.
    incomplete
        True while missing trades still affect the index.

    References
    ----------
    .. [1] Wilder (1978), "New Concepts in Technical Trading Systems".
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    close: float
    rsi: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, bars: Columns) -> Columns:
    state["n"] += 1
    index, _ = strength(state, bars["close"], state["n"], PERIOD)
    return {"rsi": np.where(state["n"] >= PERIOD, index, np.nan)}


RSI = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    # `n` is the number of changes so far; -1 before the first close.
    state={"n": (INT, -1), **STATE},
    step=step,
    sink=INDICATORS,
    result=Rsi,
    # After so many bars, a change's weight is below a billionth: (1 - 1 / n) ** 290 < 1e-9.
    memory=290,
)

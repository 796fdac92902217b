"""A metric computed from one final bar to the next: MACD, the difference of two moving averages.

Run it: python examples/recursion.py
"""

import numpy as np
from msgspec import Struct

from tickertape import FLOAT, INT, TRADE_BARS, Columns, Recursion, Topic, Trade
from tickertape.testing import run


class Macd(Struct, frozen=True):
    """The MACD line and its signal line at a bar."""

    symbol: str
    source: str
    resolution: str
    start_ms: int
    macd: float
    signal: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, bars: Columns) -> Columns:
    """Advance many series by one bar each: change the state in place, and return the results."""
    first = state["n"] == 0
    state["n"] += 1
    for name, period in (("fast", 12), ("slow", 26)):
        state[name] = np.where(first, bars["close"], state[name] + 2 / (period + 1) * (bars["close"] - state[name]))
    macd = state["fast"] - state["slow"]
    state["signal"] += 2 / 10 * (macd - state["signal"])
    return {"macd": macd, "signal": state["signal"].copy()}


MACD = Recursion(
    of=TRADE_BARS,
    takes=("close",),
    state={"n": (INT, 0), "fast": (FLOAT, 0.0), "slow": (FLOAT, 0.0), "signal": (FLOAT, 0.0)},
    step=step,
    sink=Topic(name="macd", holds="the MACD line and its signal, as JSON"),
    result=Macd,
    memory=300,  # after so many bars, a missing one no longer affects the result
    resolutions=("1s", "1m"),
)

if __name__ == "__main__":
    common = {"symbol": "BTC-USD", "source": "sim", "quantity": 1.0, "side": "buy"}
    trades = [Trade(id=n, time_ms=1_700_000_000_000 + 1000 * n, price=100.0 + n, **common) for n in range(3)]
    for one in run(trades, MACD).results["macd"]:
        if (one.source, one.resolution) == ("all", "1s"):
            print(f"{one.macd:.4f} {one.signal:.4f}")

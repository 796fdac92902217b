"""Sliding windows: the turnover of the last ten seconds, minute and five minutes, updated every second.

Run it: python examples/rolling_window.py
"""

from typing import ClassVar

from msgspec import Struct

from tickertape import INT, TRADE_BARS, Aggregate, Columns, Reducer, Rolling, Sum, Topic, Trade
from tickertape.testing import run


class Money(Struct, frozen=True):
    """The metrics of one window. A record has these fields for each width, for example ``turnover_1m``."""

    turnover: float
    mean_size: float


class MoneyWindow(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (Sum("notional"), Sum("count", INT))

    def finish(self, partials: Columns) -> Columns:
        return {"turnover": partials["notional"], "mean_size": partials["notional"] / partials["count"]}


MONEY = Rolling(
    of=TRADE_BARS,
    kind="money",
    takes=("notional", "count"),
    aggregate=MoneyWindow(),
    sink=Topic(name="money", holds="the turnover in sliding windows, as JSON"),
    metrics=Money,
)

if __name__ == "__main__":
    common = {"symbol": "BTC-USD", "source": "sim", "quantity": 1.0, "side": "buy"}
    trades = [Trade(id=n, time_ms=1_700_000_000_000 + 20_000 * n, price=100.0 + n, **common) for n in range(4)]
    for one in run(trades, MONEY).results["money/money"]:
        if one.source == "all":
            print(one.turnover_10s, one.turnover_1m, one.turnover_5m)

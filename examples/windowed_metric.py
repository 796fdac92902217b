"""A metric over windows: the imbalance of buying and selling in each second, minute and hour.

Run it: python examples/windowed_metric.py
"""

from typing import ClassVar

from msgspec import Struct

from tickertape import INT, TRADE_SLICES, Aggregate, Columns, Reducer, Sum, Topic, Trade, Windowing
from tickertape.testing import run


class Imbalance(Struct, frozen=True):
    """(buy volume - sell volume) / volume: 1 if all aggressors were buyers, -1 if all were sellers."""

    symbol: str
    source: str
    resolution: str
    start_ms: int
    imbalance: float
    final: bool
    revision: int
    incomplete: bool


class ImbalanceWindow(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (Sum("volume"), Sum("buy_volume"), Sum("count", INT))

    def finish(self, partials: Columns) -> Columns:
        return {"imbalance": 2 * partials["buy_volume"] / partials["volume"] - 1}


IMBALANCE = Windowing(
    slicing=TRADE_SLICES,  # the slices of trades, of one second each
    aggregate=ImbalanceWindow(),
    resolutions={"1s": 1000, "1m": 60_000, "1h": 3_600_000},
    sink=Topic(name="imbalance", holds="the imbalance of buying and selling, as JSON"),
    result=Imbalance,
)

if __name__ == "__main__":
    common = {"symbol": "BTC-USD", "source": "sim", "price": 100.0}
    trades = [
        Trade(id=1, time_ms=1_700_000_000_000, quantity=3.0, side="buy", **common),
        Trade(id=2, time_ms=1_700_000_000_500, quantity=1.0, side="sell", **common),
    ]
    for one in run(trades, IMBALANCE).results["imbalance"]:
        print(one.source, one.resolution, one.imbalance)

"""Sliding windows of trades, one result per second: VWAP, change, volume, count, buy share and realised volatility."""

from typing import ClassVar

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import SQUARED_RETURNS, TRADE_BARS
from tickertape.schemas.topics import ROLLING
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Reducer, Sum
from tickertape.stream.engine.define.recipes import Rolling


class TradeWindow(Struct, frozen=True):
    """Metrics of the trades in the last 10 seconds, minute and 5 minutes, as JSON on the topic ``rolling``.

    Each field exists once for each width: ``vwap_10s``, ``vwap_1m``, ``vwap_5m``. Each second with trades has a record.
    The record starts with that second, and its windows end with it.

    Attributes
    ----------
    vwap
        The volume-weighted average price: the sum of price times quantity, divided by the volume.
    change
        The close of the window's last second, divided by the close of its first second with trades, less 1.
    volume
        The sum of the trades' quantities.
    count
        The number of records: of trades, or of aggregates of trades.
    buy_share
        The volume whose aggressor bought, divided by the volume whose aggressor is known; null if none is.
    realised_volatility
        The square root of the sum of squared log returns between the closes of its seconds; 0 if only one second
        has trades.
    """

    vwap: float
    change: float
    volume: float
    count: int
    buy_share: float | None
    realised_volatility: float


class TradeRolling(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (
        Sum("volume"),
        Sum("notional"),
        Sum("buy_volume"),
        Sum("unsided_volume", optional=True),
        Sum("count", INT),
        SQUARED_RETURNS,
    )

    def lift(self, events: Columns) -> Columns:
        """Turn 1 s bars into partials."""
        return events | SQUARED_RETURNS.lift(events)

    def finish(self, partials: Columns) -> Columns:
        sided = partials["volume"] - partials["unsided_volume"]
        return partials | {
            "vwap": partials["notional"] / partials["volume"],
            "change": partials["last_close"] / partials["first_close"] - 1,
            "buy_share": np.divide(partials["buy_volume"], sided, out=np.full(sided.shape, np.nan), where=sided > 0),
            "realised_volatility": np.sqrt(partials["squares"]),
        }


TRADE_ROLLING = Rolling(
    of=TRADE_BARS,
    kind="trades",
    takes=("close", "volume", "notional", "buy_volume", "unsided_volume", "count"),
    aggregate=TradeRolling(),
    sink=ROLLING,
    metrics=TradeWindow,
)

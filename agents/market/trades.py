"""Slices of trades, from which all metrics of trades are computed."""

from typing import ClassVar

import numpy as np

from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.columns import flags, floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Sum
from tickertape.stream.engine.define.recipes import Slicing


class TradeSlice(Aggregate):
    """The aggregate of a slice of trades: open, high, low, close, volume, notional, count, buy volume, largest, ids.

    The open and the close have the least and the greatest (event time, id); of equal highs or lows the first counts. If
    two sources have the same (event time, id), the price decides, so the order of records never does.
    """

    reducers: ClassVar[tuple[Reducer, ...]] = (
        Extreme(("open_ms", "min", INT), ("open_id", "min", INT), ("open", "min", FLOAT)),
        Extreme(("high", "max", FLOAT), ("high_ms", "min", INT), ("high_id", "min", INT)),
        Extreme(("low", "min", FLOAT), ("low_ms", "min", INT), ("low_id", "min", INT)),
        Extreme(("close_ms", "max", INT), ("close_id", "max", INT), ("close", "max", FLOAT)),
        Sum("volume"),
        Sum("notional"),
        Sum("buy_volume"),
        Sum("count", INT),
        Extreme(("largest", "max", FLOAT)),
        Extreme(("first_id", "min", INT)),
        Extreme(("last_id", "max", INT)),
    )

    def lift(self, events: Columns) -> Columns:
        time_ms, number, price, quantity = events["time_ms"], events["id"], events["price"], events["quantity"]
        return {
            **dict.fromkeys(("open_ms", "high_ms", "low_ms", "close_ms"), time_ms),
            **dict.fromkeys(("open_id", "high_id", "low_id", "close_id", "first_id", "last_id"), number),
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "volume": quantity,
            "notional": price * quantity,
            "buy_volume": np.where(events["buy"], quantity, 0.0),
            "count": np.ones(len(price), np.int64),
            "largest": quantity,
        }


def columns(trades: list[Trade]) -> Columns:
    return {
        "price": floats([trade.price for trade in trades]),
        "quantity": floats([trade.quantity for trade in trades]),
        "buy": flags([trade.side == "buy" for trade in trades]),
    }


#: Slices of trades, from the topic ``trades``.
TRADE_SLICES = Slicing(topic=TRADES, record=Trade, columns=columns, aggregate=TradeSlice(), lateness_ms=2000)

"""Slices of trades, from which all metrics of trades are computed."""

from typing import ClassVar

import numpy as np

from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.names import BadRecord
from tickertape.stream.engine.core.records import Records
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Sum
from tickertape.stream.engine.define.recipes import Slicing

# The most trades that one record may stand for.
MOST_TRADES = 1 << 31


class TradeSlice(Aggregate):
    """The aggregate of a slice of trades: open, high, low, close, volume, notional, count, buy volume, largest, ids.

    The open and the close have the least and the greatest (event time, sequence, id); of equal highs or lows the first
    counts. If two sources have the same (event time, sequence, id), the price decides, so the order of records never
    matters. A text id is a negative number here, see `tickertape.schemas.fields.id_number`.
    """

    reducers: ClassVar[tuple[Reducer, ...]] = (
        Extreme(
            ("open_ms", "min", INT),
            ("open_sequence", "min", INT),
            ("open_id", "min", INT),
            ("open", "min", FLOAT),
            optional=("open_sequence",),
        ),
        Extreme(("high", "max", FLOAT), ("high_ms", "min", INT), ("high_id", "min", INT)),
        Extreme(("low", "min", FLOAT), ("low_ms", "min", INT), ("low_id", "min", INT)),
        Extreme(
            ("close_ms", "max", INT),
            ("close_sequence", "max", INT),
            ("close_id", "max", INT),
            ("close", "max", FLOAT),
            optional=("close_sequence",),
        ),
        Sum("volume"),
        Sum("notional"),
        Sum("buy_volume"),
        Sum("unsided_volume", optional=True),
        Sum("count", INT),
        Sum("more_trades", INT, optional=True),
        Extreme(("largest", "max", FLOAT)),
        Extreme(("first_id", "min", INT)),
        Extreme(("last_id", "max", INT)),
    )

    def lift(self, events: Columns) -> Columns:
        time_ms, number, price, quantity = events["time_ms"], events["id"], events["price"], events["quantity"]
        return {
            **dict.fromkeys(("open_ms", "high_ms", "low_ms", "close_ms"), time_ms),
            **dict.fromkeys(("open_sequence", "close_sequence"), events["sequence"]),
            **dict.fromkeys(("open_id", "high_id", "low_id", "close_id", "first_id"), number),
            **dict.fromkeys(("open", "high", "low", "close"), price),
            "volume": quantity,
            "notional": price * quantity,
            "buy_volume": np.where(events["buy"], quantity, 0.0),
            "unsided_volume": np.where(events["unsided"], quantity, 0.0),
            "count": np.ones(len(price), np.int64),
            "more_trades": events["more_trades"],
            "largest": quantity,
            "last_id": number + events["more_trades"],
        }


def columns(trades: Records) -> Columns:
    return {
        "price": trades.column("price"),
        "quantity": trades.column("quantity"),
        "buy": trades.equals("side", "buy"),
        "unsided": ~trades.given("side"),
        "more_trades": _more_trades(trades),
        "sequence": trades.column("sequence"),
    }


def _more_trades(trades: Records) -> Ints:
    """Return how many trades each record stands for, less one."""
    given = trades.given("last_id")
    if not given.any():
        return np.zeros(len(trades), np.int64)
    first, last = trades.column("id"), trades.column("last_id")
    if (given & (first < 0)).any():
        raise BadRecord("a trade whose id is a text can't have a last_id")
    more: Ints = np.where(given, last - first, 0)
    if (wrong := np.flatnonzero((more < 0) | (more >= MOST_TRADES))).size:
        at = wrong[0]
        raise BadRecord(f"last_id is {last[at]}, but must be at least the id, {first[at]}, and less than 2^31 above it")
    return more


#: Slices of trades, from the topic ``trades``.
TRADE_SLICES = Slicing(topic=TRADES, record=Trade, columns=columns, aggregate=TradeSlice(), lateness_ms=2000)

"""Slices of quotes, from which all metrics of quotes are computed."""

from typing import ClassVar

import numpy as np

from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import QUOTES
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.records import Records
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Sum
from tickertape.stream.engine.define.recipes import Slicing


def mid_of(quotes: Columns) -> Floats:
    mid: Floats = (quotes["ask"] + quotes["bid"]) / 2
    return mid


def spread_bps_of(quotes: Columns) -> Floats:
    """Return spreads in basis points of the mid; negative if a book is crossed."""
    spread_bps: Floats = 10_000 * (quotes["ask"] - quotes["bid"]) / mid_of(quotes)
    return spread_bps


def imbalance_of(quotes: Columns) -> Floats:
    """Return top-of-book imbalances: near 1 if almost all quantity is bid, near -1 if almost all is asked."""
    bid, ask = quotes["bid_quantity"], quotes["ask_quantity"]
    imbalance: Floats = (bid - ask) / (bid + ask)
    return imbalance


class QuoteSlice(Aggregate):
    """The aggregate of a slice of quotes: last quote, first, highest and lowest mid, widest spread, and sums.

    The first and the last quote have the least and the greatest (event time, id). If two sources have the same, price
    and quantity decide, so the order of records never does.
    """

    reducers: ClassVar[tuple[Reducer, ...]] = (
        Extreme(
            *(("close_ms", "max", INT), ("close_id", "max", INT), ("bid", "max", FLOAT), ("ask", "max", FLOAT)),
            *(("bid_quantity", "max", FLOAT), ("ask_quantity", "max", FLOAT)),
        ),
        Extreme(("open_ms", "min", INT), ("open_id", "min", INT), ("open", "min", FLOAT)),
        Extreme(("high", "max", FLOAT)),
        Extreme(("low", "min", FLOAT)),
        Extreme(("max_spread_bps", "max", FLOAT)),
        Sum("spread_sum"),
        Sum("imbalance_sum"),
        Sum("count", INT),
    )

    def lift(self, events: Columns) -> Columns:
        spread_bps = spread_bps_of(events)
        return {
            **{name: events[name] for name in ("bid", "bid_quantity", "ask", "ask_quantity")},
            **dict.fromkeys(("open_ms", "close_ms"), events["time_ms"]),
            **dict.fromkeys(("open_id", "close_id"), events["id"]),
            **dict.fromkeys(("open", "high", "low"), mid_of(events)),
            **dict.fromkeys(("spread_sum", "max_spread_bps"), spread_bps),
            "imbalance_sum": imbalance_of(events),
            "count": np.ones(len(spread_bps), np.int64),
        }


def columns(quotes: Records) -> Columns:
    return {name: quotes.column(name) for name in ("bid", "bid_quantity", "ask", "ask_quantity")}


#: Slices of quotes, from the topic ``quotes``.
QUOTE_SLICES = Slicing(topic=QUOTES, record=Quote, columns=columns, aggregate=QuoteSlice(), lateness_ms=2000)

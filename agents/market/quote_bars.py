"""Bars of quotes: the best bid and ask, mid, spread and top-of-book imbalance."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.quotes import QUOTE_SLICES, QuoteSlice, imbalance_of, mid_of, spread_bps_of
from tickertape.schemas.topics import QUOTE_BARS as SINK
from tickertape.stream.engine.core.block import Floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Steps
from tickertape.stream.engine.define.recipes import Windowing


class QuoteBar(Struct, frozen=True):
    """A bar of quotes of one symbol on one source, or over all; JSON on the topic ``quote-bars``.

    A quote's mid is (ask + bid) / 2, its spread 10,000 (ask - bid) / mid, in basis points: below zero where the book is
    crossed. Its imbalance is (bid quantity - ask quantity) / (bid quantity + ask quantity), from -1 to 1. Over all
    sources each source's quotes count as they are: no best of all books is composed.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        Its identity: ``BTC-USDT``, ``binance`` or ``all``, ``1s`` to ``1h``, and where it begins, ms since 1970 UTC.
    bid, bid_quantity, ask, ask_quantity
        The close's: the quote with the greatest (event time, id).
    close_ms
        Its event time.
    open, high, low, close
        Mids; the open is that of the quote with the least (event time, id).
    spread_bps, mean_spread_bps, max_spread_bps
        The close's, the mean over quotes, and the widest.
    time_weighted_spread_bps
        The mean over time, see `SpreadArea`; that of the close where all quotes are of one second.
    imbalance, mean_imbalance
        The close's, and the mean over quotes.
    count
        How many quotes.
    final, revision, incomplete
        See `Bar`.
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    close_ms: int
    open: float
    high: float
    low: float
    close: float
    spread_bps: float
    mean_spread_bps: float
    max_spread_bps: float
    time_weighted_spread_bps: float
    imbalance: float
    mean_imbalance: float
    count: int
    final: bool
    revision: int
    incomplete: bool


class SpreadArea(Steps):
    """The area under the spread: the sum of s_i (t_{i+1} - t_i), where the last quote of slice i has s_i and is at t_i.

    Over t_n - t_1 it is the time-weighted spread [1]_. It is taken on the closes of slices because these have an order,
    whichever partitions the quotes came by; what stands before the first close and after the last has no weight.

    References
    ----------
    .. [1] McInish, Wood (1992), "An Analysis of Intraday Patterns in Bid/Ask Spreads for NYSE Stocks", Journal of
       Finance 47(2).
    """

    def __init__(self) -> None:
        super().__init__("spread_area", close_ms=INT, spread_bps=FLOAT)

    def step(self, before: Columns, after: Columns) -> Floats:
        area: Floats = before["spread_bps"] * (after["close_ms"] - before["close_ms"])
        return area


SPREAD_AREA = SpreadArea()


class QuoteWindow(QuoteSlice):
    """A quote slice, and the area under the spread at the closes of slices."""

    reducers = (*QuoteSlice.reducers, SPREAD_AREA)

    def lift(self, events: Columns) -> Columns:
        """Make whole slices partials of a window."""
        return events | SPREAD_AREA.lift(events | {"spread_bps": spread_bps_of(events)})

    def finish(self, partials: Columns) -> Columns:
        spread_bps, count = spread_bps_of(partials), partials["count"]
        weight_ms, widest_bps = partials["last_close_ms"] - partials["first_close_ms"], partials["max_spread_bps"]
        return partials | {
            "close": mid_of(partials),
            "spread_bps": spread_bps,
            # Means of spreads, so rounding is not to take them past the widest.
            "mean_spread_bps": np.minimum(partials["spread_sum"] / count, widest_bps),
            "time_weighted_spread_bps": np.minimum(
                np.where(weight_ms > 0, partials["spread_area"] / np.maximum(weight_ms, 1), spread_bps), widest_bps
            ),
            "imbalance": imbalance_of(partials),
            "mean_imbalance": partials["imbalance_sum"] / count,
        }


QUOTE_BARS = Windowing(
    slicing=QUOTE_SLICES,
    aggregate=QuoteWindow(),
    resolutions={"1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000},
    sink=SINK,
    result=QuoteBar,
    # A quote stands until the next.
    fill={name: name for name in ("bid", "bid_quantity", "ask", "ask_quantity", "close_ms")}
    | dict.fromkeys(("open", "high", "low", "close"), "close")
    | dict.fromkeys(("spread_bps", "mean_spread_bps", "max_spread_bps", "time_weighted_spread_bps"), "spread_bps")
    | dict.fromkeys(("imbalance", "mean_imbalance"), "imbalance"),
)

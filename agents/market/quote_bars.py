"""Bars of quotes: best bid and ask, mid, spread and top-of-book imbalance."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.quotes import QUOTE_SLICES, QuoteSlice, imbalance_of, mid_of, spread_bps_of
from tickertape.schemas.topics import QUOTE_BARS as SINK
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Steps
from tickertape.stream.engine.define.recipes import Windowing


class QuoteBar(Struct, frozen=True):
    """A bar of the quotes of one symbol, on one source or over all, as JSON on the topic ``quote-bars``.

    - mid: (ask + bid) / 2
    - spread: 10,000 (ask - bid) / mid, in basis points; negative if the book is crossed
    - imbalance: (bid quantity - ask quantity) / (bid quantity + ask quantity), from -1 to 1

    A bar over all sources treats their quotes alike: it doesn't combine their books into one.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series: for example ``BTC-USDT``, ``binance`` or ``all``, and ``1s`` to ``1h``.
    start_ms
        The start of the bar: event time since 1970 UTC.
    bid
        The best bid of the last quote, which has the greatest (event time, id).
    bid_quantity
        The quantity at the best bid of the last quote.
    ask
        The best ask of the last quote.
    ask_quantity
        The quantity at the best ask of the last quote.
    close_ms
        The event time of the last quote.
    open
        The mid of the first quote, which has the least (event time, id).
    high
        The highest mid.
    low
        The lowest mid.
    close
        The mid of the last quote.
    spread_bps
        The spread of the last quote, in basis points of the mid.
    mean_spread_bps
        The mean spread over all quotes, in basis points of the mid.
    max_spread_bps
        The widest spread, in basis points of the mid.
    time_weighted_spread_bps
        The mean spread over time: the spread of each second's last quote, weighted with the time to the last quote of
        the next second that has quotes. If all quotes are in one second, the spread of the last quote.
    imbalance
        The imbalance of the last quote: (bid quantity - ask quantity) / (bid quantity + ask quantity).
    mean_imbalance
        The mean imbalance over all quotes.
    count
        The number of quotes.
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
    """The area under the spread: the sum of s_i (t_{i+1} - t_i), with spread s_i and time t_i of slice i's last quote.

    Divided by t_n - t_1, this is the time-weighted spread [1]_. It uses the closes of slices because their order does
    not depend on the partitions of the quotes. The time before the first close and after the last one has no weight.

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
    """The aggregate of a bar: a slice's aggregate, and the area under the spread at the closes of slices."""

    reducers = (*QuoteSlice.reducers, SPREAD_AREA)

    def lift(self, events: Columns) -> Columns:
        """Turn slices into partials of a bar."""
        return events | SPREAD_AREA.lift(events | {"spread_bps": spread_bps_of(events)})

    def finish(self, partials: Columns) -> Columns:
        spread_bps, count = spread_bps_of(partials), partials["count"]
        weight_ms, widest_bps = partials["last_close_ms"] - partials["first_close_ms"], partials["max_spread_bps"]
        return partials | {
            "close": mid_of(partials),
            "spread_bps": spread_bps,
            # A mean of spreads is at most the widest, but rounding may move it beyond.
            "mean_spread_bps": np.minimum(partials["spread_sum"] / count, widest_bps),
            "time_weighted_spread_bps": np.minimum(
                np.where(weight_ms > 0, partials["spread_area"] / np.maximum(weight_ms, 1), spread_bps), widest_bps
            ),
            "imbalance": imbalance_of(partials),
            "mean_imbalance": partials["imbalance_sum"] / count,
        }


#: Bars of quotes, from `QUOTE_SLICES`.
QUOTE_BARS = Windowing(
    slicing=QUOTE_SLICES,
    aggregate=QuoteWindow(),
    resolutions={"1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000},
    sink=SINK,
    result=QuoteBar,
    # A quote is valid until the next one.
    fill={name: name for name in ("bid", "bid_quantity", "ask", "ask_quantity", "close_ms")}
    | dict.fromkeys(("open", "high", "low", "close"), "close")
    | dict.fromkeys(("spread_bps", "mean_spread_bps", "max_spread_bps", "time_weighted_spread_bps"), "spread_bps")
    | dict.fromkeys(("imbalance", "mean_imbalance"), "imbalance"),
)

"""Sliding windows of quotes, one result per second: mean spreads, imbalance, change, realised volatility and count."""

from typing import ClassVar

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import SQUARED_RETURNS
from tickertape.agents.market.quote_bars import QUOTE_BARS, SPREAD_AREA
from tickertape.schemas.topics import ROLLING
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Reducer, Sum
from tickertape.stream.engine.define.recipes import Rolling


class QuoteSlide(Struct, frozen=True):
    """Metrics of the quotes in the last 10 seconds, minute and 5 minutes, as JSON on the topic ``rolling``.

    Each field exists once for each width: ``count_10s``, ``count_1m``, ``count_5m``. Each second with quotes has a
    record, which starts with that second. Its windows end with the second.

    Attributes
    ----------
    mean_spread_bps
        The mean spread over all quotes, in basis points of the mid.
    time_weighted_spread_bps
        The mean spread over time: the spread of each second's last quote, weighted with the time to the last quote of
        the next second that has quotes. If all quotes are in one second, the spread of the last quote.
    mean_imbalance
        The mean over all quotes of (bid quantity - ask quantity) / (bid quantity + ask quantity).
    change
        The last mid of the window's last second, divided by the last mid of its first second with quotes, less 1.
    realised_volatility
        The square root of the sum of squared log returns between the last mids of its seconds; 0 if only one
        second has quotes.
    count
        The number of quotes.
    """

    mean_spread_bps: float
    time_weighted_spread_bps: float
    mean_imbalance: float
    change: float
    realised_volatility: float
    count: int


class QuoteRolling(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (
        Sum("spread_sum"),
        Sum("imbalance_sum"),
        Sum("count", INT),
        SPREAD_AREA,
        SQUARED_RETURNS,
    )

    def lift(self, events: Columns) -> Columns:
        """Turn 1 s bars into partials."""
        return events | SPREAD_AREA.lift(events) | SQUARED_RETURNS.lift(events)

    def finish(self, partials: Columns) -> Columns:
        count, weight_ms = partials["count"], partials["last_close_ms"] - partials["first_close_ms"]
        return partials | {
            "mean_spread_bps": partials["spread_sum"] / count,
            "time_weighted_spread_bps": np.where(
                weight_ms > 0, partials["spread_area"] / np.maximum(weight_ms, 1), partials["last_spread_bps"]
            ),
            "mean_imbalance": partials["imbalance_sum"] / count,
            "change": partials["last_close"] / partials["first_close"] - 1,
            "realised_volatility": np.sqrt(partials["squares"]),
        }


QUOTE_ROLLING = Rolling(
    of=QUOTE_BARS,
    kind="quotes",
    takes=("close", "close_ms", "spread_bps", "spread_sum", "imbalance_sum", "count"),
    aggregate=QuoteRolling(),
    sink=ROLLING,
    metrics=QuoteSlide,
)

"""Windows of quotes that slide by the second: spread over quotes and over time, imbalance, change and volatility."""

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
    """The quotes of the last 10 seconds, minute and 5 minutes; JSON on the topic ``rolling``, as ``count_1m``.

    A record has a second's start, in which there were quotes; its windows end with that second.

    Attributes
    ----------
    mean_spread_bps, time_weighted_spread_bps
        The mean over quotes, and over time; see `QuoteBar`.
    mean_imbalance
        Of the top of the book, over quotes.
    change
        The last mid of the window's last second over that of its first with quotes, less 1.
    realised_volatility
        The root of the sum of squared log returns between the last mids of its seconds.
    count
        How many quotes.
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
        """Make whole seconds partials."""
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

"""Windows of trades that slide by the second: VWAP, change, volume, count, buy share, realised volatility."""

from typing import ClassVar

import numpy as np
from msgspec import Struct

from tickertape.agents.market.bars import SQUARED_RETURNS, TRADE_BARS
from tickertape.schemas.topics import ROLLING
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Reducer, Sum
from tickertape.stream.engine.define.recipes import Rolling


class TradeWindow(Struct, frozen=True):
    """The trades of the last 10 seconds, minute and 5 minutes; JSON on the topic ``rolling``, as ``vwap_1m``.

    A record has a second's start, in which there were trades; its windows end with that second.

    Attributes
    ----------
    vwap
        The sum of price times quantity, divided by that of quantity.
    change
        The close of the window's last second over that of its first with trades, less 1.
    volume, count
        The sum of quantity, and how many trades.
    buy_share
        Of the volume, that whose aggressor bought.
    realised_volatility
        The root of the sum of squared log returns between the closes of its seconds; see `Bar`.
    """

    vwap: float
    change: float
    volume: float
    count: int
    buy_share: float
    realised_volatility: float


class TradeRolling(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (
        Sum("volume"),
        Sum("notional"),
        Sum("buy_volume"),
        Sum("count", INT),
        SQUARED_RETURNS,
    )

    def lift(self, events: Columns) -> Columns:
        """Make whole seconds partials."""
        return events | SQUARED_RETURNS.lift(events)

    def finish(self, partials: Columns) -> Columns:
        return partials | {
            "vwap": partials["notional"] / partials["volume"],
            "change": partials["last_close"] / partials["first_close"] - 1,
            "buy_share": partials["buy_volume"] / partials["volume"],
            "realised_volatility": np.sqrt(partials["squares"]),
        }


TRADE_ROLLING = Rolling(
    of=TRADE_BARS,
    kind="trades",
    takes=("close", "volume", "notional", "buy_volume", "count"),
    aggregate=TradeRolling(),
    sink=ROLLING,
    metrics=TradeWindow,
)

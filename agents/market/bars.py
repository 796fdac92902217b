"""Bars of trades: open, high, low, close, volume, VWAP, count, buy side, realised volatility and missing trades."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.trades import TRADE_SLICES, TradeSlice
from tickertape.schemas.topics import BARS
from tickertape.stream.engine.core.block import Floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, Steps
from tickertape.stream.engine.define.recipes import Windowing


class Bar(Struct, frozen=True, kw_only=False):
    """A bar of one symbol on one source, or over all; JSON on the topic ``bars``.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        Its identity: ``BTC-USDT``, ``binance`` or ``all``, ``1s`` to ``1h``, and where it begins, ms since 1970 UTC.
    open, high, low, close
        Prices; the open is the trade with the least (event time, id), the close that with the greatest.
    open_ms, close_ms
        The event times of these trades.
    volume, notional
        The sums of quantity, and of price times quantity.
    vwap
        notional / volume, within low and high.
    count
        How many trades.
    buy_volume, buy_share
        The volume whose aggressor bought, and its share of all.
    largest
        The largest trade's quantity.
    realised_volatility
        The root of the sum of squared log returns between the closes of its seconds [1]_; 0 where there is but one.
    missing
        Trade ids between the first and the last that were not seen; over all sources, the sum of each source's own;
        at most 2^63 - 1.
    final
        False while more trades may come.
    revision
        The number of events in it: of an identity the highest (final, revision) holds.
    incomplete
        True where retention took records of it before they were read.

    References
    ----------
    .. [1] Andersen, Bollerslev, Diebold, Labys (2003), "Modeling and Forecasting Realized Volatility", Econometrica
       71(2).
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    open_ms: int
    close_ms: int
    volume: float
    notional: float
    vwap: float
    count: int
    buy_volume: float
    buy_share: float
    largest: float
    realised_volatility: float
    missing: int
    final: bool
    revision: int
    incomplete: bool


class SquaredReturns(Steps):
    """The sum of squared log returns along closes."""

    def __init__(self) -> None:
        super().__init__("squares", close=FLOAT)

    def step(self, before: Columns, after: Columns) -> Floats:
        returns: Floats = np.log(after["close"] / before["close"])
        return returns * returns


SQUARED_RETURNS = SquaredReturns()


class TradeBar(TradeSlice):
    """A trade slice, and the squared returns between the closes of slices."""

    reducers = (*TradeSlice.reducers, SQUARED_RETURNS)

    def lift(self, events: Columns) -> Columns:
        """Make whole slices partials of a bar."""
        return events | SQUARED_RETURNS.lift(events)

    def finish(self, partials: Columns) -> Columns:
        volume, notional = partials["volume"], partials["notional"]
        return partials | {
            # A mean of prices, so rounding is not to take it out of their range.
            "vwap": np.clip(notional / volume, partials["low"], partials["high"]),
            "buy_share": partials["buy_volume"] / volume,
            "realised_volatility": np.sqrt(partials["squares"]),
            # In this order no step leaves the range of int64.
            "missing": np.maximum(partials["last_id"] - partials["first_id"] - (partials["count"] - 1), 0),
        }


TRADE_BARS = Windowing(
    slicing=TRADE_SLICES,
    aggregate=TradeBar(),
    resolutions={"1s": 1_000, "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000},
    sink=BARS,
    result=Bar,
    summed=("missing",),
    fill=dict.fromkeys(("open", "high", "low", "close", "vwap"), "close")
    | dict.fromkeys(("open_ms", "close_ms"), "close_ms"),
)

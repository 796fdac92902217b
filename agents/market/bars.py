"""Bars of trades: open, high, low, close, volume, VWAP, count, buy volume, realised volatility and missing trades."""

import numpy as np
from msgspec import Struct

from tickertape.agents.market.trades import TRADE_SLICES, TradeSlice
from tickertape.schemas.topics import BARS
from tickertape.stream.engine.core.columns import Floats
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, Steps
from tickertape.stream.engine.define.recipes import Windowing


class Bar(Struct, frozen=True, kw_only=False):
    """A bar of the trades of one symbol, on one source or over all, as JSON on the topic ``bars``.

    Attributes
    ----------
    symbol, source, resolution
        The bar's series: for example ``BTC-USDT``, ``binance`` or ``all``, and ``1s`` to ``1h``.
    start_ms
        The start of the bar: event time since 1970 UTC.
    open
        The price of the first trade, which has the least (event time, id).
    high
        The highest price.
    low
        The lowest price.
    close
        The price of the last trade, which has the greatest (event time, id).
    open_ms
        The event time of the first trade.
    close_ms
        The event time of the last trade.
    volume
        The sum of the trades' quantities.
    notional
        The sum of price times quantity.
    vwap
        The volume-weighted average price: notional / volume, limited to the range from low to high.
    count
        The number of records: of trades, or of aggregates of trades.
    buy_volume
        The volume of the trades whose aggressor bought.
    buy_share
        buy_volume / the volume of the trades whose aggressor is known; null if none is.
    largest
        The quantity of the largest trade.
    realised_volatility
        The square root of the sum of squared log returns between the closes of its seconds [1]_; 0 if only one second
        has trades.
    missing
        The number of trade ids between the first and the last that were not received, at most 2^63 - 1. Over all
        sources: the sum of the sources' own numbers. Null if a source has ids that are texts.
    final
        False while trades on time may still change the bar.
    revision
        The number of records in the bar. Of the results with one key, the one with the highest (final, revision)
        counts.
    incomplete
        True if retention removed records of the bar before they were read.
    trades
        The number of trades that the records stand for; null in bars that were published before this field existed.

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
    buy_share: float | None
    largest: float
    realised_volatility: float
    missing: int | None
    final: bool
    revision: int
    incomplete: bool
    trades: int | None = None


class SquaredReturns(Steps):
    """The sum of squared log returns from one close to the next."""

    def __init__(self) -> None:
        super().__init__("squares", close=FLOAT)

    def step(self, before: Columns, after: Columns) -> Floats:
        returns: Floats = np.log(after["close"] / before["close"])
        return returns * returns


SQUARED_RETURNS = SquaredReturns()


class TradeBar(TradeSlice):
    """The aggregate of a bar: a slice's aggregate, and squared returns between the closes of slices."""

    reducers = (*TradeSlice.reducers, SQUARED_RETURNS)

    def lift(self, events: Columns) -> Columns:
        """Turn slices into partials of a bar."""
        return events | SQUARED_RETURNS.lift(events)

    def finish(self, partials: Columns) -> Columns:
        volume, notional, first_id = partials["volume"], partials["notional"], partials["first_id"]
        trades, sided = partials["count"] + partials["more_trades"], volume - partials["unsided_volume"]
        return partials | {
            "trades": trades,
            # A mean of prices lies within their range, but rounding may move it outside.
            "vwap": np.clip(notional / volume, partials["low"], partials["high"]),
            "buy_share": np.divide(partials["buy_volume"], sided, out=np.full(len(sided), np.nan), where=sided > 0),
            "realised_volatility": np.sqrt(partials["squares"]),
            # A negative id is a text, and says nothing of others. In this order no step overflows int64.
            "missing": np.where(
                first_id < 0, -1, np.maximum(partials["last_id"] - np.maximum(first_id, 0) - (trades - 1), 0)
            ),
        }


#: Bars of trades, from `TRADE_SLICES`.
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

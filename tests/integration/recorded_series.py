"""What follows the recorded bars: indicators by TA-Lib, and windows that slide by Polars."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import pytest
import talib

from tests.integration import recorded
from tickertape.schemas.trade import Trade
from tickertape.stream.engine.core.columns import Floats

#: All indicators, of bars of a second: of a minute there are seven.
RESOLUTIONS = {kind: ["1s"] for kind in ("ema", "rsi", "bollinger")}
WIDTHS_MS = {"10s": 10_000, "1m": 60_000, "5m": 300_000}
#: By symbol, source, resolution and start: the fields of a record.
Rows: TypeAlias = Mapping[tuple[str, str, str, int], Mapping[str, Any]]


def talibs(close: Floats) -> dict[str, dict[str, Floats]]:
    """Return what TA-Lib makes of closes, by kind and field."""
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    return {
        "ema": {"fast": talib.EMA(close, 12), "slow": talib.EMA(close, 26)},
        "rsi": {"rsi": talib.RSI(close, 14)},
        "bollinger": {"lower": lower, "middle": middle, "upper": upper},
    }


def assert_are_talibs(kind: str, rows: Rows, trades: list[Trade]) -> None:
    """Compare all records of an indicator of the bars of a second that Polars makes of trades."""
    compared = 0
    bars = recorded.polars_bars(trades, 1000).sort("symbol", "start_ms")
    for (symbol,), frame in bars.group_by("symbol", maintain_order=True):
        close = frame["close"].to_numpy()
        columns = talibs(close)[kind] | {"close": close}
        told = np.zeros(len(close), np.bool_)
        for name, column in columns.items():
            told |= (name != "close") & ~np.isnan(column)
        revisions = frame["count"].cum_sum().to_list()
        for i in np.flatnonzero(told).tolist():
            wanted = {name: None if np.isnan(column[i]) else float(column[i]) for name, column in columns.items()}
            for source in ("binance", "all"):
                row = rows[str(symbol), source, "1s", frame["start_ms"][i]]
                assert {name: row[name] for name in wanted} == {
                    name: None if value is None else pytest.approx(value, rel=1e-9) for name, value in wanted.items()
                }
                assert (row["final"], row["revision"], row["incomplete"]) == (True, revisions[i], False)
                compared += 1
    assert compared == len(rows) > 0


def polars_slides(kind: str) -> pl.DataFrame:
    """Return what windows hold that end with each second in which there was something, by symbol and start."""
    close = pl.col("close")
    common = {
        "change": close.last() / close.first() - 1,
        "realised_volatility": (close.log().diff() ** 2).sum().sqrt(),
        "count": pl.col("count").sum(),
    }
    if kind == "trades":
        seconds = recorded.polars_bars(recorded.trades(), 1000)
        volume = pl.col("volume").sum()
        own = {
            "volume": volume,
            "vwap": pl.col("notional").sum() / volume,
            "buy_share": pl.col("buy_volume").sum() / volume,
        }
    else:
        seconds = pl.DataFrame(recorded.polars_quote_bars(recorded.quote_rows(recorded.quotes()), 1000))
        spread, weight, stands_ms = pl.col("spread_bps"), pl.col("count"), pl.col("close_ms").diff().shift(-1)
        own = {
            "mean_spread_bps": (pl.col("mean_spread_bps") * weight).sum() / weight.sum(),
            "mean_imbalance": (pl.col("mean_imbalance") * weight).sum() / weight.sum(),
            "time_weighted_spread_bps": pl.when(pl.len() > 1)
            .then((spread * stands_ms).sum() / stands_ms.sum())
            .otherwise(spread.last()),
        }
    seconds = seconds.sort("symbol", "start_ms")
    found = seconds.select("symbol", "start_ms")
    for name, width_ms in WIDTHS_MS.items():
        slides = seconds.rolling("start_ms", period=f"{width_ms}i", closed="right", group_by="symbol")
        one = slides.agg(**{f"{field}_{name}": expression for field, expression in (common | own).items()})
        found = found.join(one, on=["symbol", "start_ms"])
    return found


def assert_are_polars(kind: str, rows: Rows) -> None:
    """Compare all records of windows that slide along trades or quotes."""
    expected = {(row["symbol"], row["start_ms"]): row for row in polars_slides(kind).iter_rows(named=True)}
    assert rows.keys() == {(symbol, source, "1s", at) for symbol, at in expected for source in ("binance", "all")}
    for (symbol, _, _, start_ms), row in rows.items():
        wanted = expected[symbol, start_ms]
        assert {name: row[name] for name in wanted} == {
            # A window of one second has no change, and no volatility.
            name: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value
            for name, value in wanted.items()
        }
        assert (row["final"], row["revision"], row["incomplete"]) == (True, wanted["count_5m"], False)

"""Answers that are worked out by hand: flat series, TradingView's beginnings, and where we differ from TA-Lib."""

import numpy as np
import polars as pl
import pytest
import talib

from tests.agents.market.indicators.stepping import ORACLES, Floats, Oracle, step
from tickertape.agents.market.indicators.averages.dema import DEMA
from tickertape.agents.market.indicators.averages.ema import EMA
from tickertape.agents.market.indicators.averages.tema import TEMA
from tickertape.agents.market.indicators.momentum.macd import MACD
from tickertape.agents.market.indicators.momentum.rsi import RSI
from tickertape.agents.market.indicators.trend.adx import ADX
from tickertape.agents.market.indicators.volatility.atr import ATR
from tickertape.agents.market.indicators.volume.mfi import MFI
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.indicator import Indicator

NAN = float("nan")
# What 60 bars of one price and no volume lead to; what is left out is the price.
FLAT = {
    "macd": {"macd": 0, "signal": 0, "histogram": 0},
    "rsi": {"rsi": 0},
    "bbands": {"bandwidth": 0, "percent_b": NAN},
    "atr": {"atr": 0},
    "adx": {"plus_di": 0, "minus_di": 0, "adx": 0},
    "stoch": {"slow_k": 0, "slow_d": 0},
    "stochf": {"fast_k": 0, "fast_d": 0},
    "stochrsi": {"fast_k": 0, "fast_d": 0},
    "cci": {"cci": 0},
    "willr": {"willr": 0},
    "mfi": {"mfi": 0},
    "obv": {"obv": 0},
    "aroon": {"up": 100, "down": 100},
    "roc": {"roc": 0},
}


def bars(close: list[float], high: list[float] | None = None, low: list[float] | None = None) -> Columns:
    """Return the bars of one series, without volume."""
    columns = {"open": close, "high": high or close, "low": low or close, "close": close, "volume": [0.0] * len(close)}
    return {name: np.array(column, np.float64)[:, None] for name, column in columns.items()}


def values(indicator: Indicator, some: Columns, *parameters: float, mode: str = "") -> dict[str, list[float]]:
    made = step(indicator.recursion(parameters, mode), some)
    return {name: column[:, 0].tolist() for name, column in made.items()}


def near(expected: list[float]) -> object:
    return pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("price", [0.1, 1 / 3, 61837.63, 1e-12])
@pytest.mark.parametrize("oracle", [pytest.param(one, id=one.name) for one in ORACLES])
def test_one_price_and_no_volume(oracle: Oracle, price: float) -> None:
    indicator = oracle.indicator
    defaults = [parameter.default for parameter in indicator.parameters]
    n = 3 * max(indicator.formula(*defaults, *indicator.modes[:1]).first.values())
    made = values(indicator, bars([price] * n), *defaults)
    for name in made.keys() - {"ready", "missing_bars"}:
        expected = FLAT.get(indicator.name, {}).get(name, price)
        # The means of MACD's two periods are rounded apart, in TA-Lib too.
        rounding = 1e-14 * price if indicator.name == "macd" else 0
        assert made[name][-1] == pytest.approx(expected, rel=1e-12, abs=rounding, nan_ok=True)


@pytest.mark.parametrize("oracle", [pytest.param(one, id=one.name) for one in ORACLES])
def test_a_single_bar_is_enough_for_the_sum_of_volume_alone(oracle: Oracle) -> None:
    indicator = oracle.indicator
    made = values(indicator, bars([5.0]), *(parameter.default for parameter in indicator.parameters))
    assert made["ready"] == [indicator.name == "obv"]
    found = [made[name][0] for name in made.keys() - {"ready", "missing_bars"}]
    assert found == [0.0] if indicator.name == "obv" else np.isnan(found).all()


def pine_ema(column: pl.Series, n: int) -> pl.Series:
    """Return the exponential average that begins with the first value."""
    return column.ewm_mean(alpha=2 / (n + 1), adjust=False)


def closes() -> Floats:
    return 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, 90)))


def test_exponential_averages_of_tradingview_begin_with_the_first_close() -> None:
    close = closes()
    some, column = bars(close.tolist()), pl.Series(close)
    once = pine_ema(column, 12)
    twice, thrice = pine_ema(once, 12), pine_ema(pine_ema(once, 12), 12)
    assert values(EMA, some, 12, mode="tradingview")["ema"] == near(once.to_list())
    assert values(DEMA, some, 12, mode="tradingview")["dema"] == near((2 * once - twice).to_list())
    assert values(TEMA, some, 12, mode="tradingview")["tema"] == near((3 * once - 3 * twice + thrice).to_list())
    macd = pine_ema(column, 12) - pine_ema(column, 26)
    made = values(MACD, some, 12, 26, 9, mode="tradingview")
    signal = pine_ema(macd, 9)
    assert made["macd"] == pytest.approx(macd.to_list(), rel=1e-9, abs=1e-12)
    assert made["signal"] == pytest.approx(signal.to_list(), rel=1e-9, abs=1e-12)
    assert made["histogram"] == pytest.approx((macd - signal).to_list(), rel=1e-9, abs=1e-12)
    assert made["missing_bars"] == [0] * 90


def test_a_macd_whose_fast_average_begins_where_the_slow_one_does() -> None:
    # The slow average of 1 to 4 is 2.5; the fast one of 3 and 4 is 3.5. Then 5: 3.5 and 4.5.
    made = values(MACD, bars([1.0, 2.0, 3.0, 4.0, 5.0]), 2, 4, 2)
    assert made["macd"] == near([NAN, NAN, NAN, NAN, 1.0])
    assert made["signal"] == near([NAN, NAN, NAN, NAN, 1.0])


def test_the_strength_of_no_change() -> None:
    flat, rising = bars([7.0] * 4), bars([7.0, 8.0, 8.0, 7.0])
    assert values(RSI, flat, 2)["rsi"] == near([NAN, NAN, 0.0, 0.0])
    assert values(RSI, flat, 2, mode="tradingview")["rsi"] == near([NAN, NAN, 100.0, 100.0])
    # Gains 1 and 0, then a loss of 1: means of 0.5 and 0, then of 0.25 and 0.5.
    for mode in ("talib", "tradingview"):
        assert values(RSI, rising, 2, mode=mode)["rsi"] == near([NAN, NAN, 100.0, 100 * 0.25 / 0.75])


def test_the_first_true_range_counts_in_tradingview_alone() -> None:
    some = bars([10.0, 12.0, 11.0], [11.0, 13.0, 14.0], [9.0, 11.0, 10.0])
    # True ranges: 2, then 13 - 10 = 3, then 4.
    assert values(ATR, some, 2)["atr"] == near([NAN, NAN, 3.5])
    assert values(ATR, some, 2, mode="tradingview")["atr"] == near([NAN, 2.5, 3.25])


def test_directional_movement_begins_with_a_mean_in_tradingview() -> None:
    some = bars([10.0, 12.0, 13.0, 12.0], [11.0, 13.0, 14.0, 13.0], [9.0, 11.0, 12.0, 10.0])
    # Up 2, 1, 0; down 0, 0, 2; ranges 3, 2, 3.
    made = values(ADX, some, 2, mode="tradingview")
    assert made["plus_di"] == near([NAN, NAN, 100 * 1.5 / 2.5, 100 * 0.75 / 2.75])
    assert made["minus_di"] == near([NAN, NAN, 0.0, 100 * 1.0 / 2.75])
    assert made["adx"] == near([NAN, NAN, NAN, (100 + 100 * 0.25 / 1.75) / 2])
    # In TA-Lib the first sum is that of one value: up 2, range 3; then 2 / 2 + 1 and 3 / 2 + 2.
    made = values(ADX, some, 2)
    assert made["plus_di"] == near([NAN, NAN, 100 * 2 / 3.5, 100 * 1 / 4.75])


def test_small_sums_of_money_and_of_changes_count() -> None:
    close = [1.0, 2.0, 1.5, 2.5]
    some = bars(close) | {"volume": np.full((4, 1), 0.01)}
    # In: 0.02 and 0.025, out: 0.015.
    assert values(MFI, some, 3)["mfi"][-1] == pytest.approx(100 * 0.045 / 0.06)
    column = np.array(close)
    assert talib.MFI(column, column, column, np.full(4, 0.01), 3)[-1] == 0.0
    tiny = [1e-16 * price for price in close]
    assert values(RSI, bars(tiny), 3)["rsi"][-1] == pytest.approx(100 * 2 / 2.5)
    assert talib.RSI(np.array(tiny), 3)[-1] == 0.0

"""The indicators that are always on, against TA-Lib."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.agents.market.indicators.defaults import bollinger, ema, rsi
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Recursion

Floats = np.ndarray[Any, np.dtype[np.float64]]


def run(recursion: Recursion, closes: Floats) -> Columns:
    """Step through closes, shape (bars, series); return metrics of that shape."""
    n = closes.shape[1]
    state: Columns = {name: np.full(n, start, dtype) for name, (dtype, start) in recursion.state.items()}
    made = [recursion.step(state, {"close": row}) for row in closes]
    return {name: np.array([one[name] for one in made]) for name in made[0]}


def talib_ema(close: Floats) -> Columns:
    return {"fast": talib.EMA(close, ema.FAST), "slow": talib.EMA(close, ema.SLOW)}


def talib_rsi(close: Floats) -> Columns:
    return {"rsi": talib.RSI(close, rsi.PERIOD)}


def talib_bollinger(close: Floats) -> Columns:
    upper, middle, lower = talib.BBANDS(close, bollinger.PERIOD, bollinger.WIDTH, bollinger.WIDTH)
    return {"lower": lower, "middle": middle, "upper": upper}


BY_TALIB: list[tuple[Recursion, Callable[[Floats], Columns]]] = [
    (ema.EMA, talib_ema),
    (rsi.RSI, talib_rsi),
    (bollinger.BOLLINGER, talib_bollinger),
]


@pytest.mark.parametrize(("recursion", "independent"), BY_TALIB)
@settings(max_examples=30)
@given(
    bars=st.integers(1, 120),
    series=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    volatility=st.sampled_from([0.0, 1e-5, 0.01, 0.2]),
)
def test_it_is_what_talib_finds(
    recursion: Recursion,
    independent: Callable[[Floats], Columns],
    bars: int,
    series: int,
    seed: int,
    volatility: float,
) -> None:
    rng = np.random.default_rng(seed)
    closes = 60_000 * np.exp(np.cumsum(rng.normal(0, volatility, (bars, series)), axis=0))
    made = run(recursion, closes)
    for place in range(series):
        expected = independent(np.ascontiguousarray(closes[:, place]))
        # TA-Lib's variance is a mean of squares less a squared mean: a band near zero is off by the rounding of prices.
        off = 1e-9 * closes[:, place].max() if recursion is bollinger.BOLLINGER else 1e-12
        for name, column in expected.items():
            np.testing.assert_allclose(made[name][:, place], column, rtol=1e-9, atol=off, err_msg=name)


@pytest.mark.parametrize(("recursion", "independent"), BY_TALIB)
def test_after_its_memory_the_past_is_gone(recursion: Recursion, independent: Callable[[Floats], Columns]) -> None:
    rng = np.random.default_rng(1)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 2000)))
    whole, late = independent(closes), independent(closes[500:].copy())
    for name, column in whole.items():
        np.testing.assert_allclose(late[name][recursion.memory :], column[500 + recursion.memory :], rtol=1e-8)


def test_where_the_close_lies_between_the_bands() -> None:
    # 19 of 100 and one of 120: the mean is 101, and the deviation the root of (19 · 1 + 361) / 20.
    closes = np.full((20, 1), 100.0)
    closes[-1] = 120.0
    made = {name: float(column[-1, 0]) for name, column in run(bollinger.BOLLINGER, closes).items()}
    deviation = 19**0.5
    assert made == pytest.approx(
        {
            "lower": 101 - 2 * deviation,
            "middle": 101,
            "upper": 101 + 2 * deviation,
            "percent_b": (19 + 2 * deviation) / (4 * deviation),
            "bandwidth": 4 * deviation / 101,
        }
    )
    flat = run(bollinger.BOLLINGER, np.full((20, 1), 100.0))
    assert np.isnan(flat["percent_b"][-1, 0])
    assert flat["bandwidth"][-1, 0] == 0.0


@pytest.mark.parametrize("close", [0.1, 0.3, 61837.63, 1e18, 1e-12, 1 / 3])
def test_bands_of_equal_closes_are_one_and_nothing_lies_between(close: float) -> None:
    made = run(bollinger.BOLLINGER, np.full((30, 1), close))
    for name in ("lower", "middle", "upper"):
        assert made[name][19:, 0].tolist() == [close] * 11
    assert np.isnan(made["percent_b"]).all()
    assert made["bandwidth"][19:, 0].tolist() == [0.0] * 11


def test_closes_that_differ_by_their_rounding_are_equal() -> None:
    # 0.1 + 0.2 is one step of a float above 0.3.
    closes = np.array([[0.3], [0.1 + 0.2]] * 15)
    assert np.isnan(run(bollinger.BOLLINGER, closes)["percent_b"]).all()


def test_bands_of_closes_a_tick_apart_are_two() -> None:
    closes = np.array([[61837.63], [61837.64]] * 15)
    made = run(bollinger.BOLLINGER, closes)
    upper, middle, lower = talib.BBANDS(np.ascontiguousarray(closes[:, 0]), 20, 2, 2)
    # TA-Lib takes the mean square less the square of the mean, of which some eight digits are left here.
    np.testing.assert_allclose(made["upper"][19:, 0] - made["middle"][19:, 0], upper[19:] - middle[19:], rtol=0.2)
    # Two deviations of half a tick from the mean: 1.5 half ticks above the lower band of four, or 2.5.
    assert made["percent_b"][19:, 0] == pytest.approx([0.75, 0.25] * 5 + [0.75], rel=1e-5)
    assert lower[19] < upper[19]

"""What follows bars, against TA-Lib."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.market import ema
from stream.engine.recipe import Recursion
from stream.engine.table import Columns

Floats = np.ndarray[Any, np.dtype[np.float64]]


def run(recursion: Recursion, closes: Floats) -> Columns:
    """Step through closes, shape (bars, series); return metrics of that shape."""
    n = closes.shape[1]
    state: Columns = {name: np.full(n, start, dtype) for name, (dtype, start) in recursion.state.items()}
    made = [recursion.step(state, {"close": row}) for row in closes]
    return {name: np.array([one[name] for one in made]) for name in made[0]}


def talib_ema(close: Floats) -> Columns:
    return {"fast": talib.EMA(close, ema.FAST), "slow": talib.EMA(close, ema.SLOW)}


BY_TALIB: list[tuple[Recursion, Callable[[Floats], Columns]]] = [(ema.EMA, talib_ema)]


@pytest.mark.parametrize(("recursion", "independent"), BY_TALIB)
@settings(max_examples=30, deadline=None)
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
        for name, column in expected.items():
            np.testing.assert_allclose(made[name][:, place], column, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("recursion", "independent"), BY_TALIB)
def test_after_its_memory_the_past_is_gone(recursion: Recursion, independent: Callable[[Floats], Columns]) -> None:
    rng = np.random.default_rng(1)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 2000)))
    whole, late = independent(closes), independent(closes[500:].copy())
    for name, column in whole.items():
        np.testing.assert_allclose(late[name][recursion.memory :], column[500 + recursion.memory :], rtol=1e-8)

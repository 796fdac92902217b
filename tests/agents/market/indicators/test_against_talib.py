"""Each indicator against TA-Lib, on random walks of several kinds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.market.indicators.stepping import KINDS, ORACLES, Oracle, fresh, series_of, step, walk, walks
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.discovery import discover

CASES = [pytest.param(one, tried, id=one.indicator.kind(tried)) for one in ORACLES for tried in one.tries]


def talibs(oracle: Oracle, bars: Columns, tried: tuple[float, ...]) -> dict[str, Any]:
    """Return TA-Lib's answer at each bar.

    Where an answer depends on the last bars alone, TA-Lib is given only these: over many bars, its running sums drift.
    """
    if not oracle.last_bars:
        return oracle.answer(bars, *tried)
    length, n = max(oracle.indicator.formula(*tried).first.values()), len(bars["close"])
    some = [
        oracle.answer({name: column[max(end - length, 0) : end] for name, column in bars.items()}, *tried)
        for end in range(1, n + 1)
    ]
    return {name: np.array([one[name][-1] for one in some]) for name in some[0]}


def assert_is_talibs(oracle: Oracle, bars: Columns, tried: tuple[float, ...]) -> None:
    made = step(oracle.indicator.recursion(tried), bars)
    for place in range(bars["close"].shape[1]):
        mine = series_of(bars, place)
        for name, column in talibs(oracle, mine, tried).items():
            found = made[name][:, place]
            if oracle.off is None:
                np.testing.assert_array_equal(found, column, err_msg=name)
            else:
                # The greatest price so far bounds what TA-Lib's sums may have lost.
                scale = 100.0 if oracle.off == "percent" else np.maximum.accumulate(mine["high"])
                np.testing.assert_array_less(
                    np.abs(found - column), 1e-9 * (np.abs(column) + scale) + (column != column), err_msg=name
                )
                np.testing.assert_array_equal(np.isnan(found), np.isnan(column), err_msg=name)


def test_every_indicator_has_an_oracle() -> None:
    assert sorted(one.name for one in ORACLES) == sorted(one.name for one in discover(["tickertape.agents"]).indicators)


@pytest.mark.parametrize(("oracle", "tried"), CASES)
@settings(max_examples=10)
@given(bars=walks())
def test_it_is_what_talib_finds(oracle: Oracle, tried: tuple[float, ...], bars: Columns) -> None:
    assert_is_talibs(oracle, bars, tried)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("oracle", "tried"), CASES)
def test_it_is_what_talib_finds_on_each_kind_of_walk(oracle: Oracle, tried: tuple[float, ...], kind: str) -> None:
    assert_is_talibs(oracle, walk(kind, 120, 2, seed=7), tried)


@pytest.mark.parametrize(("oracle", "tried"), CASES)
def test_until_the_warm_up_is_over_it_says_how_many_bars_are_missing(oracle: Oracle, tried: tuple[float, ...]) -> None:
    bars = walk("calm", 120, 1, seed=1)
    made = step(oracle.indicator.recursion(tried), bars)
    column = np.array(list(oracle.answer(series_of(bars, 0), *tried).values()))
    ready = ~np.isnan(column).any(axis=0)
    first = int(ready.argmax())
    assert made["ready"][:, 0].tolist() == ready.tolist()
    assert made["missing_bars"][:, 0].tolist() == [max(first - bar, 0) for bar in range(120)]


@pytest.mark.parametrize(("oracle", "tried"), CASES)
@settings(max_examples=8)
@given(bars=walks(80), data=st.data())
def test_neither_a_restart_nor_who_is_beside_it_changes_a_bit(
    oracle: Oracle, tried: tuple[float, ...], bars: Columns, data: st.DataObject
) -> None:
    recursion = oracle.indicator.recursion(tried)
    whole = step(recursion, bars)
    n, series = bars["close"].shape
    places = data.draw(st.lists(st.integers(0, series - 1), min_size=1, unique=True))
    cut = data.draw(st.integers(0, n - 1))
    some = {name: column[:, places] for name, column in bars.items()}
    state = fresh(recursion, len(places))
    if cut:
        step(recursion, {name: column[:cut] for name, column in some.items()}, state)
    # A snapshot has the bytes of the state.
    kept = {name: column.tobytes() for name, column in state.items()}
    read = {
        name: np.frombuffer(kept[name], dtype.base).reshape(-1, *dtype.shape).copy()
        for name, (dtype, _) in recursion.state.items()
    }
    later = step(recursion, {name: column[cut:] for name, column in some.items()}, read)
    for name, column in whole.items():
        np.testing.assert_array_equal(later[name], column[cut:][:, places], err_msg=name)


@pytest.mark.parametrize(
    ("oracle", "tried"),
    [one for one in CASES if one.values[0].name != "obv"],  # type: ignore[attr-defined]  # an Oracle
)
def test_after_its_memory_the_past_is_gone(oracle: Oracle, tried: tuple[float, ...]) -> None:
    recursion = oracle.indicator.recursion(tried)
    bars = walk("calm", recursion.memory + 1200, 2, seed=3)
    whole, late = step(recursion, bars), step(recursion, {name: column[500:] for name, column in bars.items()})
    for name in oracle.answer(series_of(bars, 0), *tried):
        first = max(recursion.memory, 1)
        scale = 100.0 if oracle.off == "percent" or name in ("rsi", "adx", "plus_di", "minus_di") else 0.0
        np.testing.assert_allclose(
            late[name][first:], whole[name][500 + first :], rtol=1e-7, atol=1e-7 * max(scale, 1.0), err_msg=name
        )

"""Series of final windows: in time order, corrected in their place, and forgotten when nothing needs them."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.derived.series import Arena, Series


def test_a_window_goes_into_its_place_in_time() -> None:
    series = Series(0, ("A", "s", "1s"), 1000)
    assert series.insert(1000, 10) == (0, None)
    assert series.insert(3000, 11) == (1, None)
    assert series.insert(2000, 12) == (1, None)  # it came late
    assert series.insert(3000, 13) == (2, 11)  # a correction takes the place of row 11
    assert list(series.starts_ms) == [1000, 2000, 3000]
    assert list(series.rows) == [10, 12, 13]
    assert list(series.drop(2)) == [10, 12]
    assert (list(series.starts_ms), list(series.rows)) == ([3000], [13])


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 99)), max_size=60))
def test_it_is_what_a_sorted_dict_would_be(windows: list[tuple[int, int]]) -> None:
    series, held = Series(0, ("A", "s", "1s"), 1000), dict[int, int]()
    for start_ms, row in windows:
        at, old = series.insert(start_ms, row)
        assert old == held.get(start_ms)
        held[start_ms] = row
        assert series.starts_ms[at] == start_ms
    assert dict(zip(series.starts_ms, series.rows, strict=True)) == held
    assert list(series.starts_ms) == sorted(held)


def test_rows_are_given_out_once_and_again_when_they_are_free() -> None:
    arena = Arena({"close": (FLOAT, 0.0), "n": (INT, 7)}, capacity=4)
    first = list(arena.rows(3))
    assert len(set(first)) == 3
    assert len(arena) == 3
    assert arena.has_room(1)
    assert not arena.has_room(2)
    arena.columns["close"][first] = [1.0, 2.0, 3.0]
    more = list(arena.rows(5))  # it grows, and what was there stays
    assert not set(first) & set(more)
    assert arena.columns["close"][first].tolist() == [1.0, 2.0, 3.0]
    arena.release(array("i", first))
    assert len(arena) == 5
    held = len(arena.columns["close"])
    arena.rows(3)
    assert len(arena.columns["close"]) == held


def test_growth_leaves_an_eighth_free() -> None:
    arena = Arena({"n": (INT, 0)}, capacity=8000)
    arena.rows(8000)
    assert not arena.has_room(1)
    arena.grow(1)
    assert arena.has_room(1000)
    assert not arena.has_room(3000)

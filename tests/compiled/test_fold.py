"""Sums and extremes in compiled code leave the bits that NumPy leaves, or leave the work to it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.compiled import fold, library
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Sum

pytestmark = pytest.mark.skipif(library.library() is None, reason="the hot path is not compiled")

# Few numbers, so that many tie; the zeros are equal, and not the same.
FLOATS = st.sampled_from([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, 1e-300])
INTS = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)])
ROWS = 4


def folding(*reducers: Reducer) -> fold.Folding:
    return fold.Folding([one.compiled for one in reducers if one.compiled])


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[name].tobytes() == other[name].tobytes() for name in other)


@given(st.lists(st.tuples(st.integers(0, ROWS - 1), FLOATS, INTS)))
def test_sums_have_numpys_bits(added: list[tuple[int, float, int]]) -> None:
    rows = np.array([row for row, _, _ in added], np.int64)
    floats, ints = np.array([x for _, x, _ in added], np.float64), np.array([n for _, _, n in added], np.int64)
    ours = np.zeros(ROWS), np.zeros(ROWS, np.int64)
    theirs = np.zeros(ROWS), np.zeros(ROWS, np.int64)
    steps = fold.Folding([fold.Step([("x", FLOAT)]), fold.Step([("n", INT)])])
    assert not steps.take({"x": ours[0], "n": ours[1]}, rows, {"x": floats, "n": ints})
    with np.errstate(invalid="ignore"):
        np.add.at(theirs[0], rows, floats)
    np.add.at(theirs[1], rows, ints)  # past the greatest integer it begins again at the least
    assert [each.tobytes() for each in ours] == [each.tobytes() for each in theirs]


EXTREMES = {
    "one key": Extreme(("x", "max", FLOAT)),
    "keys of both types": Extreme(("n", "min", INT), ("x", "max", FLOAT), ("m", "max", INT)),
    "floats first": Extreme(("x", "min", FLOAT), ("n", "max", INT)),
    "carries": Extreme(("x", "max", FLOAT), carries={"n": INT, "y": FLOAT}),
}
PARTIALS = st.tuples(st.integers(0, ROWS - 1), FLOATS, FLOATS, INTS, INTS)


@pytest.mark.parametrize("extreme", EXTREMES.values(), ids=EXTREMES.keys())
@given(folds=st.lists(st.lists(PARTIALS, min_size=1), min_size=1, max_size=3))
def test_extremes_have_numpys_bits(extreme: Extreme, folds: list[list[tuple[int, float, float, int, int]]]) -> None:
    ours = {name: np.full(ROWS, start, dtype) for name, (dtype, start) in extreme.schema.items()}
    theirs = {name: column.copy() for name, column in ours.items()}
    for added in folds:
        row, x, y, n, m = (np.array(column) for column in zip(*added, strict=True))
        partials = {"x": x, "y": y, "n": n.astype(np.int64), "m": m.astype(np.int64)}
        assert not folding(extreme).take(ours, row, partials)
        extreme.merge(theirs, row, partials)
    assert same(ours, theirs)


def test_the_first_key_decides_and_the_next_ones_only_ties() -> None:
    extreme = Extreme(("time", "min", INT), ("id", "min", INT), carries={"price": FLOAT})
    held = {name: np.full(2, start, dtype) for name, (dtype, start) in extreme.schema.items()}
    partials = {
        "time": np.array([5, 4, 4, 9, 4]),
        "id": np.array([1, 8, 7, 0, 7]),
        "price": np.array([10.0, 20.0, 30.0, 40.0, 50.0]),
    }
    assert not folding(extreme).take(held, np.array([0, 0, 0, 0, 0]), partials)
    # Of two with the least time and id the last is carried.
    assert (held["time"][0], held["id"][0], held["price"][0]) == (4, 7, 50.0)
    assert held["time"][1] == 2**63 - 1


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        ([0, ROWS], np.ones(2)),  # a row that isn't there
        ([0, -1], np.ones(2)),  # NumPy counts from the end
        ([0, 1], np.ones(2, np.float32)),  # a type that NumPy converts
        ([0, 1], np.ones(4)[::2]),  # with gaps in memory
    ],
)
def test_what_numpy_treats_in_its_own_way_is_left_to_it_and_nothing_has_changed(rows: list[int], values: Any) -> None:
    held = {"x": np.zeros(ROWS), "y": np.zeros(ROWS)}
    steps = folding(Sum("x"), Extreme(("y", "max", FLOAT)))
    assert list(steps.take(held, np.array(rows), {"x": values, "y": values})) == [0, 1]
    assert [column.tolist() for column in held.values()] == [[0.0] * ROWS] * 2


def test_a_number_that_is_none_is_left_to_numpy_which_lets_it_win() -> None:
    both = Both()
    held = {"x": np.zeros(1), "y": np.zeros(1), "n": np.zeros(1, np.int64)}
    partials = {"x": np.array([1.0, np.nan]), "y": np.array([3.0, 2.0]), "n": np.array([5, 6])}
    # The other steps are taken.
    assert Both._folding.take(held, np.array([0, 0]), partials) == [0]
    assert (held["x"][0], held["y"][0], held["n"][0]) == (0.0, 3.0, 11)
    held = {"x": np.zeros(1), "y": np.zeros(1), "n": np.zeros(1, np.int64)}
    with np.errstate(invalid="ignore"):
        both.merge(held, np.array([0, 0]), partials)
    assert np.isnan(held["x"][0])
    assert (held["y"][0], held["n"][0]) == (3.0, 11)


class Both(Aggregate):
    reducers = (Extreme(("x", "max", FLOAT)), Extreme(("y", "max", FLOAT)), Sum("n", INT, optional=True))


def test_many_partials_are_folded_in_order_step_by_step_and_piece_by_piece() -> None:
    n = 5000
    random = np.random.default_rng(1)
    partials = {"x": random.normal(size=n), "y": random.normal(size=n), "n": random.integers(-9, 9, n)}
    rows = random.integers(0, ROWS, n)
    held = {"x": np.full(ROWS, -np.inf), "y": np.full(ROWS, -np.inf), "n": np.zeros(ROWS, np.int64)}
    assert not Both._folding.take(held, rows, partials)
    for row in range(ROWS):
        of = rows == row
        assert held["x"][row] == partials["x"][of].max()
        assert held["y"][row] == partials["y"][of].max()
        assert held["n"][row] == partials["n"][of].sum()


def test_nothing_is_added_where_all_of_an_optional_sum_is_zero() -> None:
    held = {"x": np.array([-0.0]), "y": np.array([-0.0])}
    zeros = {"x": np.zeros(3), "y": np.zeros(3)}
    assert not folding(Sum("x", optional=True), Sum("y")).take(held, np.zeros(3, np.int64), zeros)
    assert [np.signbit(column[0]) for column in held.values()] == [True, False]


def test_a_row_that_is_not_there_is_an_error_as_ever() -> None:
    with pytest.raises(IndexError):
        Sum("x").merge({"x": np.zeros(2)}, np.array([2]), {"x": np.ones(1)})


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1))
def test_ids_rise_or_nothing_changes(events: list[tuple[int, int]]) -> None:
    rows, ids = (np.array(column, np.int64) for column in zip(*events, strict=True))
    greatest, truth, rises = np.array([-1, 3, -1]), [-1, 3, -1], True
    for row, number in events:
        rises &= number > truth[row]
        truth[row] = number
    assert fold.rise(greatest, rows, ids) == rises
    assert greatest.tolist() == (truth if rises else [-1, 3, -1])

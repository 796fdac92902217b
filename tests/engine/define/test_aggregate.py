"""A reducer's result is the same however events are cut, and in whatever order partials are merged."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.blocks import Slice, Ticks
from tickertape.stream.engine.core.table import Columns, Schema
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Extreme, Reducer, Sum


def empty(schema: Schema, rows: int) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in schema.items()}


def fold(reducer: Reducer | Aggregate, rows: list[int], n_rows: int = 1, **columns: list[float]) -> Columns:
    into = empty(reducer.schema, n_rows)
    partials = {name: np.array(column, reducer.schema[name][0]) for name, column in columns.items()}
    reducer.merge(into, np.array(rows, np.int64), partials)
    return into


def lists(columns: Columns) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in columns.items()}


def test_a_sum_adds_every_repetition_of_a_row() -> None:
    assert lists(fold(Sum("n", INT), [0, 2, 0, 0], 3, n=[1, 10, 2, 3])) == {"n": [6, 0, 10]}


def test_a_float_sum_is_a_left_fold() -> None:
    # 1e16 + 1 is 1e16, so any other order than the one given ends elsewhere.
    assert lists(fold(Sum("x"), [0, 0, 0], x=[1.0, 1e16, -1e16])) == {"x": [0.0]}
    assert lists(fold(Sum("x"), [0, 0, 0], x=[1e16, -1e16, 1.0])) == {"x": [1.0]}


def test_an_extreme_of_one_column() -> None:
    least = Extreme(("x", "min", FLOAT))
    assert lists(fold(least, [0, 1, 0, 0], 3, x=[3, 7, 2, 5])) == {"x": [2.0, 7.0, np.inf]}


def test_ties_are_broken_by_the_next_column_and_the_winner_brings_its_own() -> None:
    high = Extreme(("high", "max", INT), ("at", "min", INT), carries={"size": FLOAT})
    # In row 0 the 9 at 4 wins; what tied with the beaten 8, though earlier, is out. Row 1 has one partial.
    got = fold(high, [0, 0, 1, 0, 0], 2, high=[8, 9, 1, 9, 8], at=[1, 6, 5, 4, 0], size=[0.1, 0.2, 0.3, 0.4, 0.5])
    assert lists(got) == {"high": [9, 1], "at": [4, 5], "size": [0.4, 0.3]}


def test_a_later_merge_beats_only_with_what_is_better() -> None:
    last = Extreme(("at", "max", INT), ("id", "max", INT), carries={"price": FLOAT})
    row = empty(last.schema, 1)
    for at, number, price, held in (
        (5, 3, 1.0, (5, 3, 1.0)),
        (5, 2, 2.0, (5, 3, 1.0)),  # tied, and loses by id
        (4, 9, 3.0, (5, 3, 1.0)),  # earlier
        (5, 4, 4.0, (5, 4, 4.0)),  # tied, and wins by id
        (6, 0, 5.0, (6, 0, 5.0)),  # later: the higher id of the beaten is forgotten
        (6, 1, 6.0, (6, 1, 6.0)),
    ):
        last.merge(row, np.array([0]), {"at": np.array([at]), "id": np.array([number]), "price": np.array([price])})
        assert (row["at"][0], row["id"][0], row["price"][0]) == held


@pytest.mark.parametrize("number", [0, -(2**63), 2**63 - 1])
def test_the_ends_of_the_integers_are_values_like_others(number: int) -> None:
    first = Extreme(("at", "min", INT), ("id", "min", INT), carries={"price": FLOAT})
    got = fold(first, [0], at=[number], id=[number], price=[2.5])
    assert lists(got) == {"at": [number], "id": [number], "price": [2.5]}


def test_nothing_merged_changes_nothing() -> None:
    assert lists(fold(Ticks(), [], **{name: [] for name in Ticks.schema})) == lists(empty(Ticks.schema, 1))


def test_an_aggregate_has_the_columns_of_all_its_reducers() -> None:
    assert tuple(sorted(Ticks.schema)) == tuple(sorted(Slice._fields))


class Event(NamedTuple):
    time_ms: int
    id: int
    value: float


# Few times, so that many tie; sums of quarters are exact, so that any order gives the same.
events = st.lists(
    st.builds(Event, st.integers(0, 3), st.integers(0, 50), st.integers(1, 40).map(lambda n: n / 4)),
    min_size=1,
    max_size=30,
    unique_by=lambda event: event.id,
)


@settings(max_examples=150)
@given(events=events, data=st.data())
def test_any_split_and_any_order_of_partials_is_what_plain_python_finds(
    events: list[Event], data: st.DataObject
) -> None:
    ticks, n = Ticks(), len(events)
    order = data.draw(st.permutations(range(n)))
    part = data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    shuffled = [events[i] for i in order]
    columns = {
        name: np.array([getattr(event, name) for event in shuffled], dtype)
        for name, dtype in (("time_ms", np.int64), ("id", np.int64), ("value", np.float64))
    }
    parts = empty(ticks.schema, 5)
    ticks.merge(parts, np.array(part), ticks.lift(columns))
    # The parts, some of them empty, then meet in an order of their own.
    meet = np.array(data.draw(st.permutations(range(5))))
    whole = empty(ticks.schema, 1)
    ticks.merge(whole, np.zeros(5, np.int64), {name: column[meet] for name, column in parts.items()})

    last = max(events, key=lambda event: (event.time_ms, event.id))
    numbers = [event.id for event in events]
    assert Slice(**{name: column[0] for name, column in whole.items()}) == Slice(
        last_ms=last.time_ms,
        last_id=last.id,
        last=last.value,
        total=sum(event.value for event in events),
        count=n,
        least_id=min(numbers),
        greatest_id=max(numbers),
    )


@settings(max_examples=60)
@given(values=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=40), data=st.data())
def test_where_a_left_fold_is_cut_changes_no_bit(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    total, whole = Sum("x"), empty({"x": (FLOAT, 0)}, 1)
    for piece in (values[:cut], values[cut:]):
        total.merge(whole, np.zeros(len(piece), np.int64), {"x": np.array(piece)})
    expected = 0.0
    for value in values:
        expected += value
    assert whole["x"][0] == expected

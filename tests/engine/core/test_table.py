"""Rows by key: found, grown, released and used again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.stream.engine.core.table import Table
from tickertape.stream.engine.define.aggregate import FLOAT, INT

SCHEMA = {"n": (INT, 7), "x": (FLOAT, -np.inf), "pair": (np.dtype((np.int64, (2,))), -1)}


def table(capacity: int = 2) -> Table[str]:
    return Table(SCHEMA, capacity)


def test_a_key_keeps_its_row_and_a_new_one_starts_from_the_schema() -> None:
    held = table()
    a, b = held.rows(["a", "b"]).tolist()
    assert held.rows(["b", "a", "b"]).tolist() == [b, a, b]
    assert held.columns["n"][a] == 7
    assert held.columns["x"][a] == -np.inf
    assert held.columns["pair"][a].tolist() == [-1, -1]
    assert len(held) == 2


def test_a_new_key_twice_in_one_call_is_one_row() -> None:
    held = table()
    first, second = held.rows(["a", "a"]).tolist()
    assert first == second
    assert len(held) == 1


def test_growth_keeps_rows_and_values() -> None:
    held = table(capacity=1)
    (row,) = held.rows(["a"]).tolist()
    held.columns["n"][row] = 1
    rows = held.rows(list("abcde"))
    assert rows[0] == row
    assert len(set(rows.tolist())) == 5
    assert held.columns["n"][rows].tolist() == [1, 7, 7, 7, 7]
    # 1, 2, 3, 4, and 6: it grows by half.
    assert len(held.columns["n"]) == 6


def test_a_row_used_again_starts_anew() -> None:
    held = table()
    rows = held.rows(["a", "b"])
    held.columns["n"][rows] = 1
    held.columns["pair"][rows] = 1
    held.release(rows[:1])
    assert "a" not in held
    assert held.find("a") is None
    assert held.find("b") == rows[1]
    (again,) = held.rows(["c"])
    assert again == rows[0]
    assert held.columns["n"][again] == 7
    assert held.columns["pair"][again].tolist() == [-1, -1]


def test_live_rows_are_those_in_use() -> None:
    held = table(capacity=4)
    rows = held.rows(["a", "b", "c"])
    held.release(rows[:1])
    assert held.keys(held.live()) == ["b", "c"]
    held.rows(["d"])
    assert held.keys(held.live()) == ["d", "b", "c"]  # by row, and d has a's


def test_what_is_taken_is_a_copy() -> None:
    held = table()
    rows = held.rows(["a"])
    taken = held.columns_at(rows)
    held.columns["n"][rows] = 9
    assert taken["n"].tolist() == [7]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 12), max_size=6)), max_size=20))
def test_it_is_a_dict_of_counts(steps: list[tuple[bool, list[int]]]) -> None:
    held: Table[int] = Table({"n": (INT, 0)}, capacity=1)
    truth: dict[int, int] = {}
    for release, keys in steps:
        if release:
            gone = [key for key in dict.fromkeys(keys) if truth.pop(key, None) is not None]
            held.release(np.array([held.find(key) for key in gone], np.int64))
        else:
            rows = held.rows(keys)
            np.add.at(held.columns["n"], rows, 1)
            for key in keys:
                truth[key] = truth.get(key, 0) + 1
        live = held.live()
        assert dict(zip(held.keys(live), held.columns["n"][live].tolist(), strict=True)) == truth

"""Rows by key: found, grown, released and used again; in compiled code and in a dict."""

import sys
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickertape.stream.compiled import library, pairs
from tickertape.stream.engine.core import table as table_module
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.table import NO_ROW, SKETCH, Table, grown
from tickertape.stream.engine.define.aggregate import FLOAT, INT

SCHEMA = {"n": (INT, 7), "x": (FLOAT, -np.inf), "pair": (np.dtype((np.int64, (2,))), -1)}
# Halves of keys that differ in one of them only, or are far apart.
A, B, C, D, E = (1, 1), (1, 2), (2, 1), (-(2**63), 2**63 - 1), (0, 0)


@pytest.fixture(autouse=True, params=["compiled", "dict"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "dict":
        monkeypatch.setattr(table_module, "pairs", pairs._DictPairs)
    elif library.library() is None:
        pytest.skip("the hot path is not compiled")


def halves(*keys: tuple[int, int]) -> tuple[Ints, Ints]:
    first, second = np.array(keys, np.int64).reshape(-1, 2).T
    return first, second


def rows(held: Table, *keys: tuple[int, int]) -> list[int]:
    found: list[int] = held.rows(*halves(*keys))[0].tolist()
    return found


def keys_of(held: Table) -> list[tuple[int, int]]:
    first, second = held.keys(held.live())
    return list(zip(first.tolist(), second.tolist(), strict=True))


def test_a_key_keeps_its_row_and_a_new_one_starts_from_the_schema() -> None:
    held = Table(SCHEMA, 2)
    a, b = rows(held, A, B)
    assert rows(held, B, A, B) == [b, a, b]
    assert held.columns["n"][a] == 7
    assert held.columns["x"][a] == -np.inf
    assert held.columns["pair"][a].tolist() == [-1, -1]
    assert len(held) == 2


def test_both_halves_count() -> None:
    held = Table(SCHEMA)
    assert len(set(rows(held, A, B, C, D, E))) == 5


def test_a_new_key_twice_in_one_call_is_one_row_and_is_new_where_it_comes_first() -> None:
    held = Table(SCHEMA, 2)
    rows(held, A)
    found, added = held.rows(*halves(B, A, B))
    assert found[0] == found[2]
    assert added.tolist() == [0]
    assert len(held) == 2


def test_growth_keeps_rows_and_values() -> None:
    held = Table(SCHEMA, 1)
    (row,) = rows(held, A)
    held.columns["n"][row] = 1
    found = rows(held, A, B, C, D, E)
    assert found[0] == row
    assert len(set(found)) == 5
    assert held.columns["n"][found].tolist() == [1, 7, 7, 7, 7]
    assert len(held.columns["n"]) == 5


def test_small_tables_grow_by_half_and_large_ones_by_an_eighth() -> None:
    for capacity, larger in ((100, 150), (4000, 6000), (4096, 4608), (80_000, 90_000)):
        held = Table({"n": (INT, 7)}, capacity)
        keys = np.arange(capacity + 1)
        found, _ = held.rows(keys, keys)
        assert len(held.columns["n"]) == larger
        assert held.columns["n"][found].tolist() == [7] * (capacity + 1)
        assert sorted(found.tolist()) == list(range(capacity + 1))


@pytest.mark.parametrize("dtype", [INT, FLOAT, np.dtype(np.bool_), np.dtype(np.int8), SKETCH])
@pytest.mark.parametrize("rows", [10, 2_000_000])
def test_a_grown_column_has_its_values_and_then_zeros(dtype: np.dtype[Any], rows: int) -> None:
    longer = grown(np.array([1, 0, 1], dtype), rows)
    assert (longer.dtype, longer.shape) == (dtype, (rows + 3,))
    assert longer[:4].tolist() == [1, 0, 1, 0]
    assert not longer[3:].any()
    longer[-1] = 1
    assert longer[-1] == 1


def test_columns_with_several_values_a_row_grow_too() -> None:
    longer = grown(np.array([[1, 2], [3, 4]]), 1_000_000)
    assert longer.shape == (1_000_002, 2)
    assert longer[:3].tolist() == [[1, 2], [3, 4], [0, 0]]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_large_column_takes_memory_only_where_it_is_written_and_gives_all_of_it_back() -> None:
    def resident_mib() -> float:
        return psutil.Process().memory_info().rss / 2**20

    began_mib = resident_mib()
    column = grown(np.ones(100, np.int64), 32 << 20)
    assert resident_mib() < began_mib + 8
    column[: 4 << 20] = 1
    assert began_mib + 30 < resident_mib() < began_mib + 40
    del column
    assert resident_mib() < began_mib + 8


def test_released_rows_are_taken_before_rows_that_were_never_in_use() -> None:
    held = Table(SCHEMA, 8)
    a, b, c = rows(held, A, B, C)
    held.release(np.array([b, a]))
    assert sorted(rows(held, D, E)) == sorted([a, b])
    assert rows(held, A) == [c + 1]
    assert len(held) == 4


def test_it_does_not_grow_for_keys_that_it_has() -> None:
    held = Table(SCHEMA, 2)
    rows(held, A, B)
    rows(held, A, B, A, B, A)
    assert len(held.columns["n"]) == 2


def test_a_row_used_again_starts_anew() -> None:
    held = Table(SCHEMA, 2)
    a, b = rows(held, A, B)
    held.columns["n"][[a, b]] = 1
    held.columns["pair"][[a, b]] = 1
    held.release(np.array([a]))
    assert held.find(*halves(A, B)).tolist() == [NO_ROW, b]
    assert rows(held, C) == [a]
    assert held.columns["n"][a] == 7
    assert held.columns["pair"][a].tolist() == [-1, -1]


def test_live_rows_are_those_in_use() -> None:
    held = Table(SCHEMA, 4)
    a, _, _ = rows(held, A, B, C)
    held.release(np.array([a]))
    assert keys_of(held) == [B, C]
    rows(held, D)
    assert keys_of(held) == [D, B, C]  # by row, and D has A's


def test_rows_keep_their_columns_under_other_keys() -> None:
    held = Table(SCHEMA, 4)
    a, b, c = rows(held, A, B, C)
    held.release(np.array([b]))
    held.columns["n"][[a, c]] = 1, 3
    held.rename(*halves(D, E))
    assert held.find(*halves(A, C, D, E)).tolist() == [NO_ROW, NO_ROW, a, c]
    assert held.columns["n"][[a, c]].tolist() == [1, 3]
    assert rows(held, A) == [b]


def test_what_is_taken_is_a_copy() -> None:
    held = Table(SCHEMA, 2)
    found = np.array(rows(held, A))
    taken = held.columns_at(found)
    held.columns["n"][found] = 9
    assert taken["n"].tolist() == [7]


# With few different halves, and up to 200 keys, slots collide and are dropped from the middle of a run.
KEYS = st.tuples(st.integers(0, 9), st.integers(0, 19))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.booleans(), st.lists(KEYS, max_size=60)), max_size=20))
def test_it_is_a_dict_of_counts(steps: list[tuple[bool, list[tuple[int, int]]]]) -> None:
    held = Table({"n": (INT, 0)}, capacity=1)
    truth: dict[tuple[int, int], int] = {}
    for release, keys in steps:
        if release:
            gone = [key for key in dict.fromkeys(keys) if truth.pop(key, None) is not None]
            held.release(held.find(*halves(*gone)))
        else:
            found, _ = held.rows(*halves(*keys))
            np.add.at(held.columns["n"], found, 1)
            for key in keys:
                truth[key] = truth.get(key, 0) + 1
        assert dict(zip(keys_of(held), held.columns["n"][held.live()].tolist(), strict=True)) == truth

"""Sketches: within their stated error, canonical, mergeable in any order; and bytes that are none are turned down."""

import random
from collections import Counter
from hashlib import blake2b
from itertools import pairwise

import datasketches
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tickertape.stream.engine.core.table import SKETCH, Columns
from tickertape.stream.engine.define.sketches import Distinct, Frequent


def hashes(items: list[str]) -> NDArray[np.uint64]:
    digests = [blake2b(item.encode(), digest_size=8).digest() for item in items]
    return np.array([int.from_bytes(digest, "big") for digest in digests], np.uint64)


def empty(reducer: Distinct | Frequent, rows: int = 1) -> Columns:
    return {reducer.column: np.full(rows, b"", SKETCH)}


def folded(reducer: Distinct | Frequent, partials: Columns, rows: list[int], n_rows: int = 1) -> Columns:
    into = empty(reducer, n_rows)
    reducer.merge(into, np.array(rows, np.int64), partials)
    return into


def estimate(distinct: Distinct, items: list[str]) -> float:
    whole = folded(distinct, distinct.lift(hashes(items)), [0] * len(items))
    return float(distinct.estimate(whole[distinct.column])[0])


@pytest.mark.parametrize("lg_k", [7, 11])
@pytest.mark.parametrize("n", [0, 1, 10, 100, 1_000, 10_000, 50_000])
def test_distinct_items_within_the_error_and_as_datasketches_has_them(n: int, lg_k: int) -> None:
    distinct, theirs = Distinct("x", lg_k), datasketches.hll_sketch(lg_k, datasketches.HLL_8)
    items = [f"{n}-{i}" for i in range(n)]
    for item in items:
        theirs.update(item)
    mine = estimate(distinct, items)
    # Three standard errors; they stand for one in 370.
    assert mine == pytest.approx(n, rel=3 * distinct.error)
    assert mine == pytest.approx(theirs.get_estimate(), rel=6 * distinct.error)


def test_the_mean_of_many_estimates_has_no_bias() -> None:
    distinct = Distinct("x", 7)
    for n in (20, 100, 320, 1000):
        estimates = [estimate(distinct, [f"{trial}-{i}" for i in range(n)]) for trial in range(100)]
        # A hundred trials: a tenth of the error.
        assert np.mean(estimates) == pytest.approx(n, rel=3 * distinct.error / 10)
        assert np.std(estimates) / n < 1.2 * distinct.error


def test_registers_are_four_bytes_each_and_no_more_than_there_are() -> None:
    distinct = Distinct("x", 4)
    three = folded(distinct, distinct.lift(np.array([1, 2, 3], np.uint64)), [0, 0, 0])
    assert len(three[distinct.column][0]) == 12
    many = folded(distinct, distinct.lift(hashes([str(i) for i in range(500)])), [0] * 500)
    assert len(many[distinct.column][0]) == 4 * 2**4


def test_the_place_of_the_first_one_bit() -> None:
    distinct = Distinct("x", 4)
    rank = {
        int.from_bytes(sketch, "little") & 63
        for sketch in distinct.lift(np.array([0b1_0101, 0b10_0000, 2**63, 7], np.uint64))[distinct.column]
    }
    # Behind the four bits of the register: first, second, sixtieth, and none in sixty.
    assert rank == {1, 2, 60, 61}


items = st.lists(st.sampled_from([f"item-{i}" for i in range(40)]), min_size=1, max_size=60)


@settings(max_examples=100)
@given(items=items, data=st.data())
def test_distinct_is_the_same_bytes_in_any_split_and_any_order(items: list[str], data: st.DataObject) -> None:
    distinct, n = Distinct("x", 4), len(items)
    whole = folded(distinct, distinct.lift(hashes(items)), [0] * n)[distinct.column][0]
    order = data.draw(st.permutations(range(n)))
    part = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    parts = folded(distinct, distinct.lift(hashes([items[i] for i in order])), part, 4)
    met = parts[distinct.column][data.draw(st.permutations(range(4)))]
    # Twice, for what it has seen twice it has seen.
    into = folded(distinct, {distinct.column: met}, [0] * 4)
    distinct.merge(into, np.zeros(4, np.int64), {distinct.column: met})
    assert into[distinct.column][0] == whole
    distinct.check(into)


def counted(frequent: Frequent, sketch: bytes) -> tuple[dict[str, int], int]:
    column = np.array([sketch], SKETCH)
    return dict(frequent.top(column, 1000)[0]), int(frequent.error(column)[0])


def test_counts_are_exact_while_there_is_room() -> None:
    frequent = Frequent("x", 3)
    events = frequent.lift([["b", "a"], [], ["a"], ["c", "a"]], 4)
    whole = folded(frequent, events, [0, 0, 0, 1], 2)
    assert frequent.top(whole[frequent.column], 2).tolist() == [[("a", 2), ("b", 1)], [("a", 1), ("c", 1)]]
    assert frequent.error(whole[frequent.column]).tolist() == [0, 0]


def test_the_first_one_too_many_is_taken_from_all() -> None:
    frequent = Frequent("x", 2)
    events = frequent.lift([["a"], ["a"], ["a"], ["b"], ["b"], ["c"]], 6)
    whole = folded(frequent, events, [0] * 6)[frequent.column][0]
    assert counted(frequent, whole) == ({"a": 2, "b": 1}, 1)


@settings(max_examples=150)
@given(items=items, size=st.integers(1, 50), data=st.data())
def test_frequent_items_in_any_split_and_any_order_within_the_error(
    items: list[str], size: int, data: st.DataObject
) -> None:
    frequent, n, truth = Frequent("x", size), len(items), Counter(items)
    order = data.draw(st.permutations(range(n)))
    part = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    parts = folded(frequent, frequent.lift([[items[i]] for i in order], n), part, 4)
    meet = data.draw(st.permutations(range(4)))
    whole = folded(frequent, {frequent.column: parts[frequent.column][meet]}, [0] * 4)
    counts, error = counted(frequent, whole[frequent.column][0])
    frequent.check(whole)
    assert len(counts) <= size
    assert error * (size + 1) <= n - sum(counts.values())
    assert all(counts.get(item, 0) <= truth[item] <= counts.get(item, 0) + error for item in truth)
    if len(truth) <= size:
        assert counts == truth


@settings(max_examples=100)
@given(items=items, cuts=st.sets(st.integers(1, 59), max_size=5))
def test_wherever_a_fold_of_events_is_cut_the_bytes_are_the_same(items: list[str], cuts: set[int]) -> None:
    n = len(items)
    for reducer, events in (
        (distinct := Distinct("x", 4), distinct.lift(hashes(items))),
        (frequent := Frequent("x", 3), frequent.lift([[item] for item in items], n)),
    ):
        into = empty(reducer)
        borders = [0, *sorted(cut for cut in cuts if cut < n), n]
        for first, last in pairwise(borders):
            part = {reducer.column: events[reducer.column][first:last]}
            reducer.merge(into, np.zeros(last - first, np.int64), part)
        assert into[reducer.column][0] == folded(reducer, events, [0] * n)[reducer.column][0]


@pytest.mark.parametrize("reducer", [Distinct("x", 4), Frequent("x", 3)])
def test_whatever_bytes_come_they_are_turned_down_or_can_be_merged(reducer: Distinct | Frequent) -> None:
    rng = random.Random(11)
    if isinstance(reducer, Distinct):
        events = reducer.lift(hashes([str(i) for i in range(9)]))
    else:
        events = reducer.lift([["a"], ["b", "c"], ["a", "é"]] * 3, 9)
    good = folded(reducer, events, [0] * 9)[reducer.column][0]
    taken = 0
    for _ in range(4000):
        bad = bytearray(good)
        match rng.randrange(4):
            case 0:
                bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
            case 1:
                del bad[rng.randrange(len(bad)) :]
            case 2:
                bad[:] = rng.randbytes(rng.randrange(30))
            case 3:
                bad[rng.randrange(len(bad)) :] = rng.randbytes(4)
        partials = {reducer.column: np.array([bytes(bad)], SKETCH)}
        try:
            reducer.check(partials)
        except ValueError as error:
            assert reducer.column in str(error)  # noqa: PT017 - some of them are good
            continue
        taken += 1
        into = folded(reducer, {reducer.column: np.array([good, bytes(bad)], SKETCH)}, [0, 0])
        reducer.check(into)
        if isinstance(reducer, Distinct):
            assert 0 < reducer.estimate(into[reducer.column])[0] < 2**70
        else:
            reducer.top(into[reducer.column], 3)
            reducer.error(into[reducer.column])
    assert 0 < taken < 4000

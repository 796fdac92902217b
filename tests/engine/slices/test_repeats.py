"""A repeated event is found inside its open slice, however ids rise, fall and come again."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.stream.engine.core.table import Table
from tickertape.stream.engine.define.aggregate import INT
from tickertape.stream.engine.slices.repeats import Repeats


class Slices:
    """As much of a slicer as finding repeats takes: slices by the second at which they end."""

    def __init__(self) -> None:
        self.table = Table({"highest_id": (INT, -1), "serial": (INT, -1)}, capacity=2)
        self.repeats = Repeats()
        self._serial = 0

    def read(self, *events: tuple[int, int]) -> list[bool]:
        """Read a block of (slice, id)."""
        ends = sorted({end for end, _ in events})
        rows, _ = self.table.rows(np.zeros(len(ends), np.int64), np.array(ends, np.int64))
        for row in rows[self.table.columns["serial"][rows] < 0]:
            self.table.columns["serial"][row] = self._serial
            self._serial += 1
        local = np.array([ends.index(end) for end, _ in events])
        ids = np.array([number for _, number in events])
        found = self.repeats.find(self.table.columns, rows, local, ids)
        return [False] * len(events) if found is None else found.tolist()

    def close(self, frontier: int) -> None:
        live = self.table.live()
        _, ends = self.table.keys(live)
        self.table.release(live[ends <= frontier])
        self.repeats.forget(self.table.columns["serial"][self.table.live()])

    @property
    def held(self) -> list[int]:
        """Every id that is held."""
        return sorted(number for _, ids in self.repeats._held for number in ids.tolist())


def test_rising_ids_repeat_nothing() -> None:
    slices = Slices()
    assert slices.read((1, 10), (1, 11), (2, 5)) == [False, False, False]
    assert slices.read((1, 12), (2, 6)) == [False, False]


def test_the_first_counts_within_a_block() -> None:
    assert Slices().read((1, 10), (1, 10), (1, 9), (1, 10), (1, 9)) == [False, True, False, True, True]


def test_the_first_counts_between_blocks() -> None:
    slices = Slices()
    slices.read((1, 10), (1, 12))
    assert slices.read((1, 11), (1, 12), (1, 10), (1, 11)) == [False, True, True, True]


def test_an_id_is_its_slices_own() -> None:
    slices = Slices()
    slices.read((1, 10))
    assert slices.read((2, 10), (1, 10)) == [False, True]


def test_the_highest_id_of_one_slice_is_none_of_the_next() -> None:
    slices = Slices()
    slices.read((1, 10), (2, 11))
    # Both fall, so all ids of both are compared: 9 and 10 of the first stand before 10 and 11 of the second.
    assert slices.read((1, 9), (2, 10)) == [False, False]
    assert slices.read((1, 10), (2, 10)) == [True, True]


def test_ids_start_at_zero() -> None:
    slices = Slices()
    assert slices.read((1, 0)) == [False]
    assert slices.read((1, 0)) == [True]


def test_a_closed_slice_is_forgotten_and_its_row_starts_anew() -> None:
    slices = Slices()
    slices.read((1, 10), (2, 10))
    slices.close(1)
    assert slices.read((2, 10), (3, 10)) == [True, False]
    assert slices.read((3, 9), (3, 10)) == [False, True]


def test_only_ids_of_open_slices_are_held() -> None:
    slices = Slices()
    slices.read((1, 10), (2, 20))
    slices.read((3, 30), (1, 11), (3, 31))
    assert slices.held == [10, 11, 20, 30, 31]
    slices.close(1)
    assert slices.held == [20, 30, 31]
    slices.close(2)
    assert slices.held == [30, 31]
    slices.close(3)
    assert slices.held == []


def test_an_old_slice_that_stays_open_holds_on_to_its_own_ids_only() -> None:
    slices = Slices()
    slices.read((99, 1))  # it ends last, and came first
    for end in range(1, 50):
        slices.read((end, end))
        slices.close(end)
    assert slices.held == [1]
    assert slices.read((99, 1), (99, 2)) == [True, False]


block = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 12)), min_size=1, max_size=12)


@settings(max_examples=150)
@given(blocks=st.lists(st.tuples(block, st.booleans()), max_size=8), rises=st.booleans())
def test_it_is_a_set(blocks: list[tuple[list[tuple[int, int]], bool]], rises: bool) -> None:
    slices, seen, now = Slices(), set(), 0
    for events, close in blocks:
        events = [(now + end, number) for end, number in (sorted(events, key=lambda e: e[1]) if rises else events)]
        expected = []
        for event in events:
            expected.append(event in seen)
            seen.add(event)
        assert slices.read(*events) == expected
        if close:
            now += 1
            slices.close(now)


def test_of_many_small_blocks_few_pieces_are_held() -> None:
    slices = Slices()
    for number in range(1000):
        assert slices.read((1, number)) == [False]
    assert len(slices.repeats._held) <= 10
    assert slices.held == list(range(1000))

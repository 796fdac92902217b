"""Shelves: what is held of which windows, and what goes when there is too much."""

from tests.recent.made import T0
from tickertape.stream.recent.held import HELD_BYTES, Held, Series
from tickertape.stream.recent.selection import Selection
from tickertape.stream.recent.shelf import Shelf, Shelves

EVERYTHING = Selection()
A, B = (Series(symbol, "all", "1s", "") for symbol in "AB")


def held(series: Series, second: int, size_bytes: int = 100, revision: int = 1) -> Held:
    return Held(series, T0 + 1000 * second, False, revision, False, b"x" * size_bytes, 0, 0, 0)


def test_results_come_by_window_and_then_by_series() -> None:
    shelf = Shelf(0)
    for series, second in ((B, 2), (A, 1), (B, 1), (A, 2), (A, 0)):
        shelf.put(held(series, second))
    seconds = [
        (one.series.symbol, (one.start_ms - T0) // 1000) for one in shelf.between(T0 + 1000, T0 + 3000, EVERYTHING)
    ]
    assert seconds == [("A", 1), ("B", 1), ("A", 2), ("B", 2)]
    backwards = [one.series.symbol for one in shelf.between(T0 + 1000, T0 + 3000, EVERYTHING, newest_first=True)]
    assert backwards == ["B", "A", "B", "A"]
    assert [one.start_ms for one in shelf.between(0, T0 + 2000, Selection(symbols=frozenset("A")))] == [T0, T0 + 1000]


def test_a_newer_record_takes_the_place_of_the_one_before() -> None:
    shelf = Shelf(0)
    shelf.put(held(A, 0, 100))
    shelf.put(held(A, 0, 300, revision=2))
    assert shelf.size_bytes == HELD_BYTES + 300
    assert [one.revision for one in shelf.between(0, T0 + 1, EVERYTHING)] == [2]
    # A correction of an earlier window isn't the newest.
    shelf.put(held(A, 5))
    shelf.put(held(A, 0, revision=3))
    assert shelf.newest[A].start_ms == T0 + 5000


def test_the_oldest_windows_go_first_and_the_newest_of_each_series_stays() -> None:
    shelf = Shelf(0)
    shelf.put(held(B, 0))
    for second in range(5):
        shelf.put(held(A, second))
    assert shelf.drop_oldest() == 2 * (HELD_BYTES + 100)
    assert shelf.drop_oldest() == HELD_BYTES + 100
    assert (shelf.complete_from_ms, len(shelf)) == (T0 + 2000, 3)
    assert [one.start_ms for one in shelf.newest.values()] == [T0, T0 + 4000]


def test_the_largest_shelf_makes_room() -> None:
    shelves = Shelves(budget_bytes=100 * (HELD_BYTES + 100))
    minute = Series("A", "all", "1m", "")
    for second in range(90):
        shelves.put("bars", held(A, second), 0)
    for number in range(20):
        shelves.put("bars", held(minute, 60 * number), 0)
    shelves.fit()
    seconds, minutes = shelves.shelf("bars", "", "1s"), shelves.shelf("bars", "", "1m")
    assert seconds is not None
    assert minutes is not None
    # 110 are too many, and a twentieth of the budget goes with them.
    assert (len(seconds), len(minutes)) == (75, 20)
    assert shelves.size_bytes <= 95 * (HELD_BYTES + 100)


def test_one_window_is_never_dropped() -> None:
    shelves = Shelves(budget_bytes=1)
    shelves.put("bars", held(A, 0), 0)
    shelves.fit()
    assert shelves.size_bytes == HELD_BYTES + 100

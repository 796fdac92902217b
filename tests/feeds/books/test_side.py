"""One side of a book: levels by price, whatever their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.feeds.books.market import price
from tickertape.stream.feeds.books.side import MOST_CHANGED, Side


def test_the_best_come_first_with_their_texts() -> None:
    bids, asks = Side(1, 10), Side(-1, 10)
    for side in (bids, asks):
        side.apply([("9.50", "1.0"), ("10.00", "2.00"), ("9.75", "3")])
    assert bids.top(2) == [("10.00", "2.00"), ("9.75", "3")]
    assert asks.top(5) == [("9.50", "1.0"), ("9.75", "3"), ("10.00", "2.00")]
    assert (bids.best_price, asks.best_price) == (10.0, 9.5)


def test_texts_of_one_number_are_one_level() -> None:
    side = Side(1, 10)
    side.apply([("63376", "1")])
    side.apply([("63376.0", "2.50")])
    assert side.top(9) == [("63376.0", "2.50")]
    side.apply([("63376.000", "0.000")])
    assert (len(side), side.best(), side.best_price) == (0, None, None)


def test_later_levels_of_a_change_count() -> None:
    side = Side(-1, 10)
    side.apply([("5", "1"), ("5", "0"), ("6", "1"), ("6", "2"), ("7", "0"), ("7", "3")])
    assert side.top(9) == [("6", "2"), ("7", "3")]


def test_it_keeps_the_best_and_knows_nothing_of_the_rest() -> None:
    """Level 97 may or may not be there after the cut, so 96 isn't taken to be the next one."""
    side = Side(1, 3)
    side.apply([("100", "1"), ("99", "1"), ("98", "1"), ("97", "1")])
    assert ([at for at, _ in side.top(9)], side.is_whole) == (["100", "99", "98"], False)
    side.apply([("99", "0"), ("96", "1")])
    assert [at for at, _ in side.top(9)] == ["100", "98"]
    side.apply([("98.5", "1")])
    assert [at for at, _ in side.top(9)] == ["100", "98.5", "98"]


def test_a_depth_is_cut_without_forgetting_what_may_come_again() -> None:
    side = Side(-1, 100)
    side.apply([("1", "1"), ("2", "1"), ("3", "1")])
    side.cut(2)
    assert [at for at, _ in side.top(9)] == ["1", "2"]
    side.apply([("1", "0"), ("3", "7")])
    assert (side.top(9), side.is_whole) == ([("2", "1"), ("3", "7")], True)


@pytest.mark.parametrize(
    "level",
    [
        ("0", "1"),
        ("-1", "1"),
        ("1", "-1"),
        ("1", "0.-10000"),
        ("nan", "1"),
        ("1", "nan"),
        ("inf", "1"),
        ("1", "inf"),
        ("1e19", "1"),
        ("1", "1e19"),
        ("", "1"),
        ("1", ""),
        ("one", "1"),
        ("1", "9" * 65),
        ("1" * (16 << 20), "1"),
        # The next double above is the same number.
        ("0.1234567890123456", "1"),
        ("1", "2", "3"),
        ("1",),
    ],
)
def test_what_is_no_level(level: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts differ
        Side(1, 10).apply([("5", "1"), level])  # type: ignore[list-item]  # some are no pairs


@pytest.mark.parametrize("text", ["0.000000001234567890", "123456789012345000", "61837.6300000000000", "1.5e-08"])
def test_long_texts_of_few_digits(text: str) -> None:
    side = Side(1, 10)
    side.apply([(text, "0.123456789012345678901")])
    assert side.best() == (text, "0.123456789012345678901")


def test_too_many_levels_in_one_change() -> None:
    with pytest.raises(ValueError, match="levels in one change"):
        Side(1, 10).apply([("1", "1")] * (MOST_CHANGED + 1))


TICKS = st.integers(1, 30)


@given(st.lists(st.lists(st.tuples(TICKS, st.integers(0, 3)), max_size=40), max_size=20), st.sampled_from((1, -1)))
def test_it_equals_a_dict(changes: list[list[tuple[int, int]]], sign: int) -> None:
    """With changes larger and smaller than the side, with repeated prices, with removals of what isn't there."""
    side, plain = Side(sign, 1000), dict[int, int]()
    for some in changes:
        side.apply([(price(ticks), str(units)) for ticks, units in some])
        plain.update(some)
        plain = {ticks: units for ticks, units in plain.items() if units}
        best = sorted(plain, key=lambda ticks: -sign * ticks)
        assert side.top(len(plain) + 1) == [(price(ticks), str(plain[ticks])) for ticks in best]
        assert len(side) == len(plain)

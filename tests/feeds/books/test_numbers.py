"""Whether a change continues a book, by the rules of each exchange that numbers its changes."""

import math

import pytest

from tests.feeds.books.market import START_MS, change
from tickertape.stream.feeds.books import rules
from tickertape.stream.feeds.books.numbers import Verdict, judge
from tickertape.stream.feeds.define.book_rule import BookRule

A, I, G = Verdict.APPLY, Verdict.IGNORE, Verdict.GAP  # noqa: E741 - apply, ignore, gap


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (101, 101, A),
        (101, 110, A),
        (90, 101, A),  # after a snapshot: it begins before the snapshot's number and ends past it
        (102, 110, G),
        (90, 99, I),
        (90, 100, I),
    ],
)
def test_binance_spot(first: int, last: int, verdict: Verdict) -> None:
    assert judge(rules.BINANCE, change(first=first, last=last), 100, START_MS) is verdict


@pytest.mark.parametrize(
    ("previous", "first", "last", "verdict"),
    [
        (100, 103, 110, A),  # `first` is not one more than `previous`
        (100, 101, 101, A),
        (101, 102, 110, G),
        (99, 100, 110, A),  # after a snapshot
        (80, 85, 99, I),
        (80, 85, 100, I),
    ],
)
def test_binance_usdm(previous: int, first: int, last: int, verdict: Verdict) -> None:
    assert judge(rules.BINANCE_USDM, change(previous=previous, first=first, last=last), 100, START_MS) is verdict


@pytest.mark.parametrize(("last", "verdict"), [(101, A), (102, G), (100, I), (50, I)])
def test_bybit(last: int, verdict: Verdict) -> None:
    assert judge(rules.bybit(1000), change(last=last), 100, START_MS) is verdict


@pytest.mark.parametrize(
    ("previous", "last", "verdict"),
    [
        (100, 117, A),
        (100, 100, I),  # nothing has changed for long
        (117, 120, G),
        (90, 100, I),
        (100, 7, A),  # after maintenance numbers are lower
        (90, 7, G),
        (130, 100, I),  # a second connection brings the change that fell to 100
    ],
)
def test_okx(previous: int, last: int, verdict: Verdict) -> None:
    assert judge(rules.OKX, change(previous=previous, last=last), 100, START_MS) is verdict


def test_any_change_continues_the_empty_book_of_a_new_pair() -> None:
    """Binance's snapshot of a pair that has just been listed has the number -1."""
    assert judge(rules.BINANCE, change(first=5, last=9), -1, math.inf) is Verdict.APPLY


@pytest.mark.parametrize("rule", [rules.BINANCE, rules.bybit(1000)])
def test_an_old_number_with_a_new_time_is_no_repeat(rule: BookRule) -> None:
    """Otherwise a book whose source counts anew, and says so in a message that was lost, would never change again."""
    assert judge(rule, change(first=50, last=50, ms=1000), 100, START_MS) is Verdict.IGNORE
    assert judge(rule, change(first=50, last=50, ms=1001), 100, START_MS) is Verdict.FELL
    # After a fetched snapshot there is no time to compare with.
    assert judge(rule, change(first=50, last=50, ms=1001), 100, math.inf) is Verdict.IGNORE


def test_a_change_without_a_number() -> None:
    with pytest.raises(ValueError, match="without a number"):
        judge(rules.BINANCE, change(first=5), 100, START_MS)

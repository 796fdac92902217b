"""Ids that count up by one: what is missing, what comes again, and what fills a gap after all."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.feeds.live import ids
from tickertape.stream.feeds.live.ids import Ids, Recent


@pytest.fixture
def trades() -> Ids:
    return Ids("binance", "trades", contiguous=True, settle_seconds=1.0)


def new(ids: Ids, *numbers: int, symbol: str = "A-B", now: float = 0.0, time_ms: int = 1) -> list[int]:
    return [number for number in numbers if ids.is_new(symbol, number, now, time_ms)]


def test_a_gap_is_named_once_when_it_has_settled(trades: Ids, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert new(trades, 5, 6, 9, 10, now=100.0) == [5, 6, 9, 10]
    trades.name_gaps(100.9)
    assert caplog.messages == []
    trades.name_gaps(101.0)
    trades.name_gaps(200.0)
    assert caplog.messages == ["binance: A-B: 2 trades are missing, ids 7 to 8"]
    assert (trades.gaps, trades.missing) == (1, 2)
    new(trades, 1, 3, 6, symbol="C-D")
    new(trades, 1, 2, symbol="E-F")
    assert trades.holes == {"A-B": (1, 2), "C-D": (2, 3)}


def test_what_fills_a_gap_in_time_is_new_and_only_the_rest_is_named(
    trades: Ids, caplog: pytest.LogCaptureFixture
) -> None:
    assert new(trades, 1, 10, 4, 5, 10, 4) == [1, 10, 4, 5]
    trades.name_gaps(1.0)
    assert [message.split("ids ")[1] for message in caplog.messages] == ["2 to 3", "6 to 9"]
    # Late, but better than never: and the count says so.
    assert new(trades, 8, 7, 8) == [8, 7]
    assert (trades.gaps, trades.missing, trades.repeats) == (3, 4, 3)


def test_symbols_count_for_themselves(trades: Ids) -> None:
    assert new(trades, 1, 2) == [1, 2]
    assert new(trades, 7, 8, symbol="C-D") == [7, 8]
    assert (trades.missing, trades.repeats) == (0, 0)


def test_an_aggregate_has_all_ids_from_its_first_to_its_last(trades: Ids) -> None:
    assert trades.is_new("A-B", 5, 0.0, 1, last=9)
    assert trades.is_new("A-B", 10, 0.0, 1, last=10)
    assert trades.is_new("A-B", 20, 0.0, 1, last=25)  # 11 to 19 are missing
    assert trades.missing == 9
    assert trades.is_new("A-B", 12, 0.0, 1, last=14)
    assert (trades.gaps, trades.missing) == (2, 6)  # 11, and 15 to 19
    assert not trades.is_new("A-B", 20, 0.0, 1, last=25)
    assert trades.repeats == 1


def test_where_ids_only_rise_nothing_is_missing_and_what_is_behind_is_out() -> None:
    quotes = Ids("binance", "quotes", contiguous=False)
    assert new(quotes, 10, 20, 15, 20, 21) == [10, 20, 21]
    assert (quotes.gaps, quotes.missing, quotes.repeats) == (0, 0, 2)


def test_of_endless_gaps_the_oldest_are_named_and_forgotten(
    trades: Ids, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ids, "MOST_GAPS", 2)
    new(trades, 1, 3, 5, 7)
    assert caplog.messages == ["binance: A-B: 1 trade is missing, id 2"]
    # It can't be told from a repeat any more.
    assert new(trades, 2, 4) == [4]
    assert trades.missing == 2


@given(st.integers(0, 5), st.lists(st.integers(0, 30), max_size=60))
def test_an_id_is_new_the_first_time_and_what_is_missing_is_what_never_came(first: int, later: list[int]) -> None:
    tracked = Ids("x", "trades", contiguous=True)
    came = [first, *(first + number for number in later)]
    assert new(tracked, *came) == list(dict.fromkeys(came))
    assert tracked.missing == max(came) - first + 1 - len(set(came))
    assert tracked.repeats == len(came) - len(set(came))


def test_ids_that_begin_anew_are_told_of_and_go_on(trades: Ids, caplog: pytest.LogCaptureFixture) -> None:
    assert new(trades, 1000, 1001, 1005, time_ms=10) == [1000, 1001, 1005]
    # What comes again has the time that it had; what has a later one is another.
    assert new(trades, 1000, time_ms=9) == []
    assert new(trades, 1, 2, 3, time_ms=11) == [1, 2, 3]
    assert new(trades, 2, time_ms=11) == []
    trades.name_gaps(100.0)
    assert caplog.messages == ["binance: A-B: ids of trades start again at 1 after 1005"]
    assert (trades.restarts, trades.repeats, trades.gaps) == (1, 2, 0)


def test_numbers_of_books_begin_anew_where_they_are_far_behind(caplog: pytest.LogCaptureFixture) -> None:
    quotes = Ids("binance", "quotes", contiguous=False)
    # A quote's time is when we had it, so what a second connection brings again has a later one.
    assert new(quotes, 10_000, time_ms=1) == [10_000]
    assert new(quotes, 9_990, time_ms=2) == []
    assert new(quotes, 3, 7, time_ms=3) == [3, 7]
    assert caplog.messages == ["binance: A-B: ids of quotes start again at 3 after 10000"]


def test_the_newest_ids_that_are_texts_are_remembered_and_the_oldest_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "MOST_RECENT", 100)
    recent = Recent()
    assert all(recent.is_new(f"uuid {number}") for number in range(1000))
    # At least the last hundred, and at most the last two hundred.
    assert not any(recent.is_new(f"uuid {number}") for number in range(900, 1000))
    assert recent.repeats == 100
    assert recent.is_new("uuid 799")

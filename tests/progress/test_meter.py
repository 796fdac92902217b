"""Rates and estimates, from steps and times written by hand."""

import pytest

from tickertape.stream.progress.meter import Count, Meter, State, clock


def test_rate_and_rest_by_the_total() -> None:
    meter = Meter("folded", "events", 100.0)
    # 300 in 3 s leave 700 at 100/s.
    assert meter.state(103.0, Count(300, 1000)) == State("folded", 300, 1000, "events", 100.0, 7.0, 3.0, 0)
    # 500 in 4 s: the mean since the start is what the window has.
    assert meter.state(104.0, Count(500, 1000)) == State("folded", 500, 1000, "events", 125.0, 4.0, 4.0, 0)
    assert meter.state(108.0, Count(1000, 1000)) == State("folded", 1000, 1000, "events", 125.0, 0.0, 8.0, 0)


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    meter = Meter("read", "records", 0.0)
    for second in range(1, 11):
        meter.state(float(second), Count(1000 * second, 30_000))
    # It slows down to a tenth. After ten seconds the fast time is forgotten.
    for second in range(11, 21):
        state = meter.state(float(second), Count(10_000 + 100 * (second - 10), 30_000))
    assert (state.done, state.rate, state.remaining_seconds) == (11_000, 100.0, 190.0)
    # It stands still: nobody knows when it ends.
    for second in range(21, 31):
        state = meter.state(float(second), Count(11_000, 30_000))
    assert (state.rate, state.remaining_seconds, state.seconds) == (0.0, None, 30.0)


def test_without_a_total_another_measure_says_what_remains() -> None:
    meter = Meter("read", "events", 0.0)
    assert meter.state(2.0, Count(500, None, 0.0)).remaining_seconds is None
    # A quarter of the files in 8 s.
    state = meter.state(8.0, Count(900, None, 0.25))
    assert (state.total, state.rate, state.remaining_seconds) == (None, 112.5, 24.0)
    # It is a mean over the whole time, as the measure stands still between two files.
    assert meter.state(16.0, Count(1800, None, 0.25)).remaining_seconds == 48.0
    assert meter.state(17.0, Count(1900, None, 1.0)).remaining_seconds == 0.0


def test_without_either_nothing_is_guessed() -> None:
    assert Meter("fed", "events", 0.0).state(5.0, Count(50)).remaining_seconds is None


@pytest.mark.parametrize("count", [Count(7, 0), Count(0, 0), Count(12, 10)])
def test_more_than_was_expected_is_all(count: Count) -> None:
    assert Meter("read", "records", 0.0).state(1.0, count).remaining_seconds == 0.0


def test_a_state_as_a_line() -> None:
    whole = State("folded", 1_234_567, 2_000_000, "events", 98_765.4, 7.9, 3725.0, 1_700_000_000_000)
    assert str(whole) == (
        "folded 1,234,567 of 2,000,000 events   98,765/s   event time 2023-11-14 22:13:20 UTC   1:02:05   "
        "about 0:00:07 left"
    )
    assert str(State("fed", 10, None, "events", 2.0, None, 5.0, 0)) == "fed 10 events   2/s   0:00:05"


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0.9, 59.0, 61.5, 360_000.0)] == [
        "0:00:00",
        "0:00:59",
        "0:01:01",
        "100:00:00",
    ]

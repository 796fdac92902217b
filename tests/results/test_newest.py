"""Which records are news to a reader: of each result the highest (final, revision) holds."""

from hypothesis import given
from hypothesis import strategies as st

from tickertape.stream.results.newest import Newest, Verdict

OLD, NEW, CORRECTED = Verdict.OLD, Verdict.NEW, Verdict.CORRECTED
SERIES = b"BTC-USD|all|1s"


def judged(*records: tuple[int, bool, int], keep_ms: int = 60_000) -> list[Verdict]:
    """Return what records are, each with its start in seconds, whether it is final, and its revision."""
    newest = Newest(keep_ms)
    return [
        newest.judge(SERIES, start * 1000, 1000, final=final, revision=revision) for start, final, revision in records
    ]


def test_more_events_are_newer_and_the_same_or_fewer_are_not() -> None:
    assert judged((0, False, 3), (0, False, 3), (0, False, 2), (0, False, 4)) == [NEW, OLD, OLD, NEW]


def test_a_final_is_newer_than_any_provisional() -> None:
    # A worker that was frozen wakes after its successor, and publishes what it had, with more events or fewer.
    assert judged((0, False, 9), (0, True, 8), (0, False, 9), (0, False, 10)) == [NEW, NEW, OLD, OLD]


def test_a_final_with_more_events_corrects_the_one_before() -> None:
    assert judged((0, True, 5), (0, True, 5), (0, True, 6), (0, True, 4)) == [NEW, OLD, CORRECTED, OLD]


def test_results_of_two_series_are_two_results() -> None:
    newest = Newest(0)
    assert newest.judge(b"A|s|1s", 0, 1000, final=True, revision=1) is NEW
    assert newest.judge(b"B|s|1s", 0, 1000, final=True, revision=1) is NEW


def test_what_is_past_correcting_is_forgotten_and_its_repeats_are_old() -> None:
    newest = Newest(10_000)
    for start in range(100):
        assert newest.judge(SERIES, start * 1000, 1000, final=True, revision=1) is NEW
    # The newest begins at 99 s; 10 s and two widths before it, at 87 s, correcting ends.
    assert len(newest) == 13
    assert newest.judge(SERIES, 86_000, 1000, final=True, revision=9) is OLD
    assert newest.judge(SERIES, 87_000, 1000, final=True, revision=9) is CORRECTED
    # One that was never seen is new while it may still come.
    assert newest.judge(SERIES, 87_500, 1000, final=True, revision=1) is NEW


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(1, 6)), max_size=40),
)
def test_what_is_yielded_of_a_result_only_rises(records: list[tuple[int, bool, int]]) -> None:
    highest: dict[int, tuple[bool, int]] = {}
    for (start, final, revision), verdict in zip(records, judged(*records), strict=True):
        before = highest.get(start)
        assert (verdict is OLD) == (before is not None and (final, revision) <= before)
        assert (verdict is CORRECTED) == (before is not None and before[0] and (final, revision) > before)
        if verdict is not OLD:
            highest[start] = final, revision

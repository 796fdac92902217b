"""How long a worker rests after records came: by hand, against a clock that stands where the test puts it."""

from collections.abc import Callable

import pytest
from faust.types import TP

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core import workload
from tickertape.stream.engine.core.workload import Workload

LEAST_SECONDS = 0.010


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def put(seconds: float) -> None:
        monkeypatch.setattr(workload, "monotonic", lambda: seconds)

    return put


def test_the_least(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.002)
    load.record_processed(0.002)
    at(100.004)
    # Records came at 100, and a flush took from 100.000 to 100.002. Two ms of rest are less than the least.
    assert load.rest_seconds(100.0) == pytest.approx(0.006)
    at(100.010)
    assert load.rest_seconds(100.0) <= 0


def test_as_long_as_the_flush_took(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.012)
    load.record_processed(0.005)
    # Until 100.007 the blocks waited for the flush. The next fetch is due at 100.017.
    assert load.rest_seconds(100.0) == pytest.approx(0.005)
    at(100.017)
    assert load.rest_seconds(100.0) == pytest.approx(0, abs=1e-9)


def test_blocks_that_need_no_flush_earn_no_rest(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.012)
    load.record_processed(0.005)
    load.record_processed()
    assert load.rest_seconds(100.0) == 0


def test_while_it_works_it_is_asked_again_soon_and_not_for_ever(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(99.0)
    load.record_processed()
    at(100.011)
    assert 0 < load.rest_seconds(100.0) <= 0.002
    at(100.041)
    assert load.rest_seconds(100.0) <= 0


def test_work_that_took_very_long_is_no_reason_to_rest_as_long(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.030)
    load.record_processed(0.030)
    # 40 ms after the records came, and not 60.
    assert load.rest_seconds(100.0) == pytest.approx(0.010)
    at(103.0)
    load.record_processed(3.0)
    assert load.rest_seconds(100.0) <= 0


def test_where_it_is_behind_it_does_not_rest(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.001)
    load.record_backlog(TP("trades", 1), behind=True)
    assert load.rest_seconds(100.0) == 0
    load.record_backlog(TP("trades", 1), behind=False)
    assert load.rest_seconds(100.0) == pytest.approx(0.009)


def test_it_is_behind_while_any_partition_is() -> None:
    load = Workload()
    for partition, behind in ((0, True), (1, True), (0, False)):
        load.record_backlog(TP("trades", partition), behind=behind)
    assert load.behind
    load.clear("quotes")
    assert load.behind
    load.clear("trades")
    assert not load.behind


TOO_MANY = 20_001
ONE = TP("trades", 0)


@pytest.fixture
def load(at: Callable[[float], None]) -> Workload:
    """One that has a partition wait, for what is final at 100.0."""
    load = Workload()
    at(100.0)
    load.record_backlog(ONE, behind=True, at_ms=90_000)
    load.record_finals("trades", 1_000, open_ahead=TOO_MANY)
    assert load.held == {ONE}
    return load


def test_in_a_crowd_partitions_that_are_ahead_of_what_is_final_wait(at: Callable[[float], None]) -> None:
    begun: list[int] = []
    load = Workload(count_holds=begun.append)
    slow, fast, read = (TP("trades", partition) for partition in range(3))
    at(100.0)
    load.record_backlog(slow, behind=True, at_ms=60_000)
    load.record_backlog(fast, behind=True, at_ms=69_001)
    # All of it is read: it waits for nobody.
    load.record_backlog(read, behind=False, at_ms=90_000)
    load.record_backlog(TP("quotes", 0), behind=True, at_ms=90_000)
    load.record_backlog(TP("slices", 0), behind=True)
    load.record_finals("trades", 59_000, open_ahead=TOO_MANY)
    assert load.held == {fast}
    # 10 s ahead of it is near enough.
    load.record_finals("trades", 59_001, open_ahead=TOO_MANY)
    assert load.held == set()
    load.record_backlog(fast, behind=True, at_ms=69_002)
    assert load.held == {fast}
    load.record_backlog(fast, behind=True, at_ms=69_003)
    # It began to wait twice. That it still does isn't counted.
    assert begun == [1, 1]
    load.record_backlog(fast, behind=False, at_ms=69_003)
    assert load.held == set()


def test_without_a_crowd_none_waits(load: Workload) -> None:
    load.record_finals("trades", 2_000, open_ahead=20_000)
    assert load.held == set()


def test_none_waits_before_anything_is_final(at: Callable[[float], None]) -> None:
    load = Workload()
    at(100.0)
    load.record_backlog(TP("trades", 0), behind=True, at_ms=90_000)
    load.record_finals("trades", NEVER_MS, open_ahead=TOO_MANY)
    assert load.held == set()


@pytest.mark.parametrize(
    ("final_ms", "waits"),
    # In 10 s: that of a source that lags behind the clock, or of one that has ended; and that of one that catches up.
    [(1_000, False), (11_000, False), (13_499, False), (13_500, True), (60_000, True)],
)
def test_none_waits_for_what_does_not_catch_up(
    load: Workload, at: Callable[[float], None], final_ms: int, *, waits: bool
) -> None:
    at(109.9)
    load.record_finals("trades", final_ms, open_ahead=TOO_MANY)
    assert load.held == {ONE}
    at(110.0)
    load.record_finals("trades", final_ms, open_ahead=TOO_MANY)
    assert load.held == ({ONE} if waits else set())
    # That holds for the next ten seconds.
    at(119.9)
    load.record_finals("trades", 70_000, open_ahead=TOO_MANY)
    assert load.held == ({ONE} if waits else set())
    # And it catches up again, if more than a little.
    at(120.0)
    load.record_finals("trades", 72_500, open_ahead=TOO_MANY)
    assert load.held == {ONE}


def test_a_topic_that_is_taken_up_anew_holds_none(load: Workload) -> None:
    load.clear("trades")
    assert load.held == set()
    load.record_backlog(ONE, behind=True, at_ms=90_000)
    assert load.held == set()


def test_with_all_of_a_backlog_waiting_it_rests(at: Callable[[float], None]) -> None:
    load = Workload(LEAST_SECONDS)
    at(100.001)
    ahead, slow = TP("trades", 0), TP("trades", 1)
    load.record_backlog(ahead, behind=True, at_ms=90_000)
    load.record_backlog(slow, behind=True)
    load.record_finals("trades", 1_000, open_ahead=TOO_MANY)
    # How far the other is it doesn't say, so it never waits.
    assert load.held == {ahead}
    assert load.rest_seconds(100.0) == 0
    load.record_backlog(slow, behind=False)
    assert load.held == {ahead}
    assert load.rest_seconds(100.0) == pytest.approx(0.009)
    assert load.behind
    assert load.has_backlog("trades")


def test_each_backlog_is_looked_at_anew(load: Workload, at: Callable[[float], None]) -> None:
    at(110.0)
    load.record_finals("trades", 1_000, open_ahead=TOO_MANY)
    assert load.held == set()
    load.record_backlog(ONE, behind=False)
    load.record_backlog(ONE, behind=True, at_ms=90_000)
    load.record_finals("trades", 1_000, open_ahead=TOO_MANY)
    assert load.held == {ONE}


def test_a_large_backlog_is_over_once_it_is_smaller_or_its_partition_has_gone() -> None:
    workload = Workload()
    assert not workload.far_behind
    workload.record_backlog(TP("trades", 0), behind=True, far=True)
    workload.record_backlog(TP("quotes", 0), behind=True, far=True)
    workload.record_backlog(TP("trades", 0), behind=True)
    assert workload.far_behind
    workload.clear("quotes")
    assert (workload.far_behind, workload.behind) == (False, True)
    workload.record_backlog(TP("trades", 0), behind=True, far=True)
    workload.record_backlog(TP("trades", 0), behind=False)
    assert not workload.far_behind

"""Whose clock is sane."""

import pytest

from tests.engine.blocks import HOUR_MS, Log, slicer, tallied
from tickertape.schemas.refused import DeadLetter

DAY_MS = 24 * 3_600_000
UNKNOWN = -HOUR_MS - 1  # an append time of -1


def rejected(log: Log) -> dict[int, str]:
    """Fold a log; return why records were rejected, by offset."""
    return {one.offset: one.reason for one in slicer(most_sources=16).fold(log.block()) if isinstance(one, DeadLetter)}


@pytest.mark.parametrize(
    ("received", "appended", "ahead"),
    [
        # The tick is of 9000 ms, and may be 5000 ms past its receipt.
        (4000, 4000, 0),
        (3999, 9000, 5001),  # the feed had it that early
        (9000, 3999, 5001),  # no feed receives what the broker has had for long: its clock is ahead
        (20_000, 4000, 0),
        (0, 3999, 5001),  # the feed doesn't say
        (0, 4000, 0),
        (3999, UNKNOWN, 5001),  # a topic without append times, and a producer that gives none
        (4000, UNKNOWN, 0),
        (3999, -HOUR_MS, 5001),
        (0, UNKNOWN, 0),  # nobody says, so nobody is to blame
    ],
)
def test_the_receipt_is_the_lesser_of_the_feeds_time_and_the_brokers(received: int, appended: int, ahead: int) -> None:
    reasons = rejected(Log().tick(9000, received=received, appended=appended))
    expected = {0: "event time is 5001 ms past its receipt, and skew_ms is 5000"} if ahead else {}
    assert reasons == expected


def test_a_heartbeat_further_ahead_of_its_append_time_than_an_event_may_be_is_rejected() -> None:
    log = Log().tick(0, 1).beat(5101, appended=100).beat(5100, appended=100)
    owner = slicer()
    refused = owner.fold(log.block())
    assert [(letter.offset, letter.value) for letter in refused] == [(1, b"")]
    assert rejected(log) == {1: "a heartbeat 5001 ms ahead of its append time, and skew_ms is 5000"}
    assert owner.lanes.watermark_ms == {"s": HOUR_MS + 5100}
    assert tallied(owner.tallies) == {"counted": 1, "heartbeats": 1, "rejected": 1}


def test_without_an_append_time_a_heartbeat_is_taken_at_its_word() -> None:
    log = Log().beat(DAY_MS + 1, appended=UNKNOWN)
    assert rejected(log) == {}

"""Whose clock is sane, and for how many sources there is room."""

from collections.abc import Iterable
from random import Random

import pytest

from schemas.refused import DeadLetter
from stream.engine.checkpoint import slices_from, to_metadata
from stream.engine.lanes import UNSET
from tests.engine.blocks import HOUR_MS, Log, Published, slicer, tallied

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


def sixteen() -> Log:
    """A log of as many sources as there is room for, every other one by a heartbeat."""
    log = Log()
    for number in range(16):
        if number % 2:
            log.tick(0, 1, source=f"s{number}")
        else:
            log.beat(0, f"s{number}")
    return log


TOO_MANY = "one source too many in its partition: most_sources is 16, of 1920 bytes together"


@pytest.mark.parametrize("cuts", [(), (16,), (17, 18), range(1, 22)])
def test_a_seventeenth_source_is_rejected_wherever_blocks_are_cut(cuts: Iterable[int]) -> None:
    log = sixteen().tick(1, 2, source="x").beat(2, "x").beat(2, "y").tick(3, 4, source="s3").beat(3, "s4")
    owner = slicer(most_sources=16)
    refused = [one for block in log.blocks(cuts) for one in owner.fold(block)]
    assert [(one.offset, one.reason) for one in refused if isinstance(one, DeadLetter)] == [
        (16, TOO_MANY),
        (17, TOO_MANY),
        (18, TOO_MANY),
    ]
    assert set(owner.lanes.watermark_ms) == {f"s{number}" for number in range(16)}
    assert tallied(owner.tallies) == {"counted": 9, "heartbeats": 9, "rejected": 3}


def test_of_many_sources_in_one_block_the_first_sixteen_have_room() -> None:
    log = Log()
    for number in range(40):
        log.tick(0, 1, source=f"s{number}", symbol="B")
        log.beat(0, f"h{number}")
    assert list(rejected(log)) == list(range(16, 80))


def test_who_is_rejected_takes_no_room() -> None:
    log = Log().tick(9000, 1, source="early", received=1)
    for number in range(16):
        log.tick(0, 1, source=f"s{number}")
    assert list(rejected(log)) == [0]


def test_the_next_owner_has_room_for_the_same_sources() -> None:
    log = sixteen().tick(1, 2, source="x")
    first = slicer(most_sources=16)
    first.fold(log.block())
    offset, saved = first.checkpoint()
    assert offset == 1
    second = slicer(most_sources=16, checkpoint=saved, committed=offset)
    log.tick(2, 3, source="x").tick(2, 3, source="s1")
    refused = [one for block in log.blocks([9], start=1) for one in second.fold(block)]
    assert [one.offset for one in refused] == [17]
    assert tallied(second.tallies) == {"counted": 9, "heartbeats": 8, "rejected": 2}
    assert UNSET not in second.lanes.watermark_ms.values()


def test_who_had_no_room_stays_rejected_where_the_next_owner_has_more() -> None:
    # With a lateness of 2 s the slice of 0 is open, so all is read again; `y` comes after what was read.
    log = sixteen().tick(1, 2, source="x")
    first = slicer(most_sources=16)
    first.fold(log.block())
    offset, saved = first.checkpoint()
    second = slicer(most_sources=17, checkpoint=saved, committed=offset)
    log.tick(2, 3, source="y").beat(9000, "y").beat(9000, "s1")
    assert [second.fold(block) for block in log.blocks([17], start=1)] == [[], []]
    assert second.lanes.watermark_ms.keys() == {f"s{number}" for number in range(16)} | {"y"}
    assert tallied(second.tallies) == {"counted": 9, "heartbeats": 10, "rejected": 1}
    published = Published()
    published.flush(second)
    assert {key.source for key in published.slices} == {f"s{number}" for number in range(1, 16, 2)} | {"y"}


def test_names_that_a_commit_has_no_room_for_are_one_too_many() -> None:
    # 24 letters of 4 bytes: 20 names have 1920.
    log = Log()
    for number in range(22):
        log.tick(0, 1, source=f"{chr(0x1F600 + number)}" * 24)
    log.tick(0, 1, source="x")
    assert [one.offset for one in slicer().fold(log.block())] == [20, 21, 22]


def test_a_commit_holds_as_many_sources_as_there_may_be_room_for() -> None:
    random = Random(1)
    owner, log = slicer(), Log()
    for number in range(80):
        # No `|`, which no name may have.
        name = "".join(chr(random.randrange(33, 124)) for _ in range(24))
        log.tick(random.randrange(1000) * 60, number, source=name, symbol="B")
    owner.fold(log.block())
    saved = owner.checkpoint()[1]
    assert len(saved.lanes) == 64
    assert slices_from(to_metadata(saved)) == saved


def test_sources_without_number_are_forgotten_when_they_are_rejected() -> None:
    owner = slicer(most_sources=16)
    for first in range(0, 20_000, 1000):
        log = Log()
        log.end = first
        for number in range(first, first + 1000):
            log.tick(0, 1, source=f"s{number}", symbol=f"A{number}")
        owner.fold(log.block(first))
    assert tallied(owner.tallies) == {"counted": 16, "rejected": 20_000 - 16}
    assert len(owner._sources.names) <= 5096

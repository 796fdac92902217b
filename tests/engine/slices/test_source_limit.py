"""For how many sources a partition has lanes, and who makes room for whom."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS, Log, Published, SliceKey, slicer, tallied
from tickertape.schemas.checkpoint import is_long, slices_from, to_metadata
from tickertape.schemas.frame import NEVER_MS
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.slices.slicer import Refused, Slicer

SILENCE_MS = 60_000


def rejected(log: Log) -> dict[int, str]:
    """Fold a log; return why records were rejected, by offset."""
    return {one.offset: one.reason for one in slicer(most_sources=16).fold(log.block()) if isinstance(one, DeadLetter)}


def sixteen() -> Log:
    """A log of as many sources as there is room for, every other one by a heartbeat."""
    log = Log()
    for number in range(16):
        if number % 2:
            log.tick(0, 1, source=f"s{number}")
        else:
            log.beat(0, f"s{number}")
    return log


TOO_MANY = (
    "too many sources in the partition: most_sources is 16, and no source has been silent for 60000 ms of event time"
)


@pytest.mark.parametrize("cuts", [(), (16,), (17, 18), range(1, 22)])
def test_a_seventeenth_source_is_rejected_wherever_blocks_are_cut(cuts: Iterable[int]) -> None:
    log = sixteen().tick(1, 2, source="x").beat(2, "x").beat(2, "y").tick(3, 4, source="s3").beat(3, "s4")
    owner = slicer(most_sources=16)
    refused = [one for block in log.blocks(cuts) for one in owner.fold(block)]
    assert [(one.offset, one.reason) for one in refused if isinstance(one, DeadLetter)] == [
        (16, TOO_MANY),
    ]
    assert set(owner.lanes.watermark_ms) == {f"s{number}" for number in range(16)}
    assert tallied(owner.tallies) == {"counted": 9, "heartbeats": 11, "rejected": 1}


def test_of_many_sources_in_one_block_the_first_sixteen_have_room() -> None:
    log = Log()
    for number in range(40):
        log.tick(0, 1, source=f"s{number}", symbol="B")
        log.beat(0, f"h{number}")
    # Heartbeats of the others say nothing.
    assert list(rejected(log)) == list(range(16, 80, 2))


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
    assert NEVER_MS not in second.lanes.watermark_ms.values()


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


def test_a_commit_holds_as_many_sources_as_there_is_room_for() -> None:
    random = Random(1)
    owner, log = slicer(), Log()
    for number in range(80):
        # No `|`, which no name may have.
        name = "".join(chr(random.randrange(33, 124)) for _ in range(24))
        log.tick(random.randrange(1000) * 60, number, source=name, symbol="B")
    owner.fold(log.block())
    saved = owner.checkpoint()[1]
    assert len(saved.lanes) == 64
    assert not is_long(to_metadata(saved))
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


def fold(owner: Slicer, log: Log, cuts: Iterable[int] = (), start: int = 0) -> list[Refused]:
    return [one for block in log.blocks(cuts, start) for one in owner.fold(block)]


def offsets(refused: Iterable[Refused], kind: type) -> list[int]:
    return [one.offset for one in refused if isinstance(one, kind)]


def lanes(owner: Slicer) -> dict[str, tuple[int, int]]:
    """Return the watermark and the frontier of each lane, ms after `HOUR_MS`."""
    return {
        source: (watermark_ms - HOUR_MS, owner.lanes.frontier_ms[source] - HOUR_MS)
        for source, watermark_ms in owner.lanes.watermark_ms.items()
    }


@pytest.mark.parametrize("cuts", [(), (2,), (3,), range(1, 6)])
def test_who_has_been_silent_for_longer_makes_room(cuts: Iterable[int]) -> None:
    log = Log().tick(0, 1, source="a").tick(500, 1, source="b")
    # `a` has been silent for just the minute, and then for longer.
    log.tick(SILENCE_MS, 1, source="c").tick(SILENCE_MS + 1, 2, source="c").tick(SILENCE_MS + 1, 3, source="d")
    owner = slicer(most_sources=2)
    assert offsets(fold(owner, log, cuts), DeadLetter) == [2, 4]
    # `a` is closed up to the end of its slice, and there `c` begins.
    assert lanes(owner) == {"b": (500, -1500), "c": (SILENCE_MS + 1, SILENCE_MS - 1999)}
    assert owner.lanes.evicted_ms == HOUR_MS + 1000
    assert tallied(owner.tallies) == {"counted": 3, "rejected": 2}


@pytest.mark.parametrize("cuts", [(), (3,), range(1, 5)])
def test_who_speaks_just_before_stays(cuts: Iterable[int]) -> None:
    log = Log().tick(0, 1, source="a").tick(10, 1, source="b")
    log.beat(SILENCE_MS, "a").tick(2 * SILENCE_MS, 1, source="c")
    owner = slicer(most_sources=2)
    assert fold(owner, log, cuts) == []
    assert owner.lanes.watermark_ms.keys() == {"a", "c"}


def test_of_two_that_are_as_far_behind_the_first_by_name_makes_room() -> None:
    log = Log().tick(0, 1, source="b").tick(0, 1, source="a").tick(SILENCE_MS + 1, 1, source="c")
    owner = slicer(most_sources=2)
    assert fold(owner, log) == []
    assert owner.lanes.watermark_ms.keys() == {"b", "c"}


def test_nobody_makes_room_for_one_that_ends() -> None:
    log = Log().tick(0, 1, source="a").beat(2 * SILENCE_MS, "b", end=True).beat(3 * SILENCE_MS, "a", partitions=3)
    owner = slicer(most_sources=1)
    assert fold(owner, log) == []
    assert owner.lanes.watermark_ms.keys() == {"a"}
    assert (owner.partitions, tallied(owner.tallies)) == (3, {"counted": 1, "heartbeats": 2})


def test_a_heartbeat_takes_room_too_and_one_that_is_ahead_takes_none() -> None:
    log = Log().tick(0, 1, source="a").tick(SILENCE_MS + 1, 1, source="ahead", received=1).beat(SILENCE_MS + 1, "b")
    owner = slicer(most_sources=1)
    assert offsets(fold(owner, log), DeadLetter) == [1]
    assert lanes(owner) == {"b": (SILENCE_MS + 1, SILENCE_MS - 1999)}


def test_who_comes_back_begins_where_the_furthest_was_and_counts_nothing_twice() -> None:
    log = Log().tick(0, 1, source="a").tick(900, 2, source="a")
    log.tick(SILENCE_MS + 901, 1, source="b")  # the room of `a`, closed up to 1000
    log.tick(2 * SILENCE_MS + 902, 3, source="a")  # the room of `b`, closed up to 61000
    log.tick(0, 1, source="a").tick(900, 2, source="a")  # it sends again what it has sent
    log.tick(SILENCE_MS, 4, source="a")  # new, and behind
    owner = slicer(most_sources=1)
    refused = fold(owner, log)
    assert offsets(refused, Late) == [4, 5, 6]
    assert owner.lanes.evicted_ms == HOUR_MS + 61_000
    assert tallied(owner.tallies) == {"counted": 4, "late": 3}
    published = Published()
    published.flush(owner)
    found = {(key.source, key.slice_ms): row.count for key, row in published.slices.items()}
    assert found == {("a", 0): 2, ("b", SILENCE_MS): 1, ("a", 2 * SILENCE_MS): 1}


def test_who_comes_back_counts_nothing_twice_however_late_it_may_be() -> None:
    log = Log().tick(0, 1, source="a").tick(SILENCE_MS + 1, 1, source="b").tick(2 * SILENCE_MS + 2, 2, source="a")
    log.tick(0, 1, source="a").tick(SILENCE_MS + 900, 3, source="a").tick(SILENCE_MS + 1000, 4, source="a")
    owner = slicer(most_sources=1, lateness_ms=10 * SILENCE_MS)
    # `b` was closed up to 61000.
    assert offsets(fold(owner, log), Late) == [3, 4]


def test_who_makes_room_holds_no_commit_back() -> None:
    log = Log().tick(0, 1, source="a").tick(SILENCE_MS + 1, 1, source="b")
    owner = slicer(most_sources=1)
    fold(owner, log)
    Published().flush(owner)
    # Until it had made room, its slice was open.
    assert owner.checkpoint()[0] == 1


def test_the_next_owner_folds_nothing_of_who_had_no_room_then() -> None:
    log = Log().tick(0, 1, source="a").tick(1100, 1, source="b")
    log.tick(SILENCE_MS, 1, source="c")  # no room yet
    log.tick(SILENCE_MS + 1, 2, source="c")  # that of `a`
    first = slicer(most_sources=2)
    fold(first, log)
    Published().flush(first)
    offset, saved = first.checkpoint()
    # The slice of `b` is open; what is read again of `c` begins at 3.
    assert (offset, saved.since, saved.evicted_ms) == (1, {"c": 3}, HOUR_MS + 1000)
    second = slicer(most_sources=2, checkpoint=slices_from(to_metadata(saved)), committed=offset)
    log.tick(SILENCE_MS + 2, 3, source="c")
    fold(second, log, start=1)
    published = Published()
    published.flush(second)
    assert {(key.source, row.count) for key, row in published.slices.items()} == {("b", 1), ("c", 2)}
    assert tallied(second.tallies) == {"counted": 4, "rejected": 1}


def test_room_that_was_made_before_is_known_to_the_next_owner() -> None:
    log = Log().tick(0, 1, source="a").tick(SILENCE_MS + 1, 1, source="b")
    first = slicer(most_sources=1)
    fold(first, log)
    offset, saved = first.checkpoint()
    second = slicer(most_sources=1, checkpoint=slices_from(to_metadata(saved)), committed=offset)
    log.tick(2 * SILENCE_MS + 2, 2, source="a").tick(0, 1, source="a")
    assert offsets(fold(second, log, start=1), Late) == [3]


def test_sources_without_number_that_follow_each_other_all_have_room() -> None:
    owner, n = slicer(most_sources=4), 2000
    log = Log()
    for number in range(n):
        log.tick(number * SILENCE_MS, 1, source=f"s{number}")
    assert fold(owner, log) == []
    assert tallied(owner.tallies) == {"counted": n}
    assert len(owner.lanes.watermark_ms) == 4
    Published().flush(owner)
    # Those of the last four are open.
    assert len(owner) == len(owner.lanes.admitted_at) == 4


@st.composite
def histories(draw: st.DrawFn) -> tuple[Log, list[int], int]:
    """A log of four sources whose clocks run on, where to cut it, and where the next owner takes over."""
    log, now = Log(), 0
    for number in range(draw(st.integers(3, 25))):
        now += draw(st.sampled_from((0, 1, 700, 20_000, SILENCE_MS, 2 * SILENCE_MS)))
        source, at = draw(st.sampled_from("abcd")), max(0, now - draw(st.sampled_from((0, 0, 1000, SILENCE_MS))))
        if draw(st.booleans()):
            log.tick(at, draw(st.integers(0, number)), source=source)
        else:
            log.beat(at, source, end=draw(st.booleans()))
    return log, draw(st.lists(st.integers(1, log.end - 1), max_size=4)), draw(st.integers(1, log.end - 1))


@given(histories())
def test_cuts_and_owners_change_nothing(history: tuple[Log, list[int], int]) -> None:
    log, cuts, taken_over = history
    outcomes = []
    for all_cuts, until in ((range(1, log.end), None), (cuts, None), (cuts, taken_over)):
        owner, published = slicer(most_sources=2), Published()
        refused = []
        if until is not None:
            refused = owner.fold(log.block(0, until))
            published.flush(owner)
            offset, saved = owner.checkpoint()
            owner = slicer(most_sources=2, checkpoint=slices_from(to_metadata(saved)), committed=offset)
            refused += [one for block in log.blocks(cuts, offset) for one in owner.fold(block)]
        else:
            refused = fold(owner, log, all_cuts)
        published.flush(owner)
        slices: dict[SliceKey, int] = {key: row.count for key, row in published.slices.items()}
        told = sorted((one.offset, type(one).__name__) for one in refused)
        outcomes.append((slices, told, tallied(owner.tallies), lanes(owner), owner.lanes.evicted_ms, owner.lanes.ended))
    assert outcomes[1] == outcomes[0]
    assert outcomes[2] == outcomes[0]

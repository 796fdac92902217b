"""One partition folded into slices: what closes, what is late, rejected, repeated, and that all of it adds up."""

from base64 import b64decode
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.blocks import EPOCH, HOUR_MS, Log, Published, Slice, slicer, tallied, unpacked
from tests.engine.logs import logs
from tests.engine.oracle import judge
from tickertape.schemas.frame import Frame, Lane, Tallies
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.slices.slicer import Idle, Slicer


def read(log: Log, **settings: int) -> tuple[Slicer, Published]:
    owner = slicer(log, **settings)
    return owner, Published().read(owner, log.blocks())


def at(ms: int) -> int:
    return HOUR_MS + ms


def test_a_slice_holds_a_second_of_a_source_and_symbol() -> None:
    log = Log()
    log.tick(0, 1, 1.5).tick(999, 2, 2.0)
    log.tick(1000, 3, 4.0)
    log.tick(500, 1, 8.0, source="t").tick(500, 4, 16.0, symbol="B")
    _, published = read(log)
    assert published.slices == {
        ("s", "A", 0): Slice(at(999), 2, 2.0, total=3.5, count=2, least_id=1, greatest_id=2),
        ("s", "A", 1000): Slice(at(1000), 3, 4.0, total=4.0, count=1, least_id=3, greatest_id=3),
        ("t", "A", 0): Slice(at(500), 1, 8.0, total=8.0, count=1, least_id=1, greatest_id=1),
        ("s", "B", 0): Slice(at(500), 4, 16.0, total=16.0, count=1, least_id=4, greatest_id=4),
    }


def test_a_slice_closes_when_its_lanes_frontier_reaches_its_end() -> None:
    log = Log().tick(0).tick(2999, 2).tick(3000, 3)
    owner = slicer()
    published = Published().read(owner, [log.block(0, 2)])
    assert len(owner) == 2
    published.read(owner, [log.block(2, 3)])  # the frontier is now 1000: the first slice is closed
    assert len(owner) == 2
    assert [start for _, _, start in published.slices] == [0, 2000, 3000]


def test_heartbeats_tell_of_partitions_that_the_metadata_does_not() -> None:
    log = Log().beat(0, partitions=2).tick(100).beat(200, partitions=4).beat(300)
    owner = slicer(log, partitions=3)
    counts = []
    for block in log.blocks([1, 2, 3]):
        owner.fold(block)
        ((_, frame),) = owner.flush(lambda _: 0, 1, everyone=True)
        counts.append(frame.partitions)
    assert counts == [3, 3, 4, 4]
    # Not every shard has heard of it when it is committed; the next owner's metadata may be as old.
    offset, saved = owner.checkpoint()
    after = slicer(log, partitions=3, checkpoint=saved, committed=offset)
    after.fold(log.block())
    assert [frame.partitions for _, frame in after.flush(lambda _: 0, 1, everyone=True)] == [4]


def test_a_heartbeat_that_tells_of_more_partitions_than_there_may_be_moves_the_lane_alone() -> None:
    log = Log().beat(9000, partitions=64).beat(9001, partitions=3)
    owner = slicer(log, most_partitions=4)
    assert owner.fold(log.block()) == []
    assert (owner.partitions, owner.lanes.watermark_ms, owner.tallies.heartbeats) == (3, {"s": at(9001)}, 2)
    _, saved = owner.checkpoint()
    # Nor does what an earlier owner believed.
    wrong = msgspec.structs.replace(saved, partitions=64)
    assert slicer(log, most_partitions=4, checkpoint=wrong, committed=2).partitions == 4


def test_a_heartbeat_that_does_not_count_tells_of_no_partitions() -> None:
    log = (
        Log()
        .beat(5002, partitions=8, appended=1)
        .raw(None, (("heartbeat", b'{"source":"s","time_ms":1700000000000,"partitions":1000000}'),))
    )
    owner, published = read(log)
    assert [refused.reason.partition(":")[0] for refused in published.refused if isinstance(refused, DeadLetter)] == [
        "a heartbeat 5001 ms ahead of its append time, and skew_ms is 5000",
        "the heartbeat header can't be read",
    ]
    assert owner.partitions == 1


def test_a_closed_slice_is_kept_until_it_is_published() -> None:
    log = Log().tick(0).tick(3000, 2)
    owner, published = slicer(), Published()
    owner.fold(log.block())
    assert len(owner) == 2
    published.flush(owner)
    assert len(owner) == 1
    assert published.slices[("s", "A", 0)].count == 1


def test_a_late_record_is_told_with_by_how_much() -> None:
    log = Log().tick(500, 1).tick(4000, 2)  # the frontier is 2000
    log.tick(900, 3)  # its slice ended at 1000
    log.tick(1999, 4)  # at 2000: just closed
    log.tick(2000, 5)
    owner, published = read(log)
    assert published.refused == [
        Late(
            topic="trades",
            partition=0,
            offset=2,
            source="s",
            symbol="A",
            time_ms=at(900),
            frontier_ms=at(2000),
            late_by_ms=1000,
            value=f'{{"symbol":"A","source":"s","id":3,"time_ms":{at(900)},"value":1.0,"received_ms":{at(900)}}}',
            size_bytes=98,
        ),
        Late(
            topic="trades",
            partition=0,
            offset=3,
            source="s",
            symbol="A",
            time_ms=at(1999),
            frontier_ms=at(2000),
            late_by_ms=0,
            value=f'{{"symbol":"A","source":"s","id":4,"time_ms":{at(1999)},"value":1.0,"received_ms":{at(1999)}}}',
            size_bytes=98,
        ),
    ]
    assert tallied(owner.tallies) == {"counted": 3, "late": 2}


def test_a_record_never_closes_its_own_slice() -> None:
    owner, _ = read(Log().tick(999, 1).tick(998, 2), lateness_ms=0)
    assert tallied(owner.tallies) == {"counted": 2}


def test_a_source_is_not_late_because_another_is_live() -> None:
    log = Log().tick(9000, 1).tick(500, 1, source="t").tick(600, 2)  # only the last is behind its own lane
    owner, published = read(log)
    assert [late.offset for late in published.refused] == [2]
    assert owner.lanes.frontier_ms == {"s": at(7000), "t": at(-1500)}


@pytest.mark.parametrize("cut", [None, 1, 2])
def test_a_heartbeat_takes_its_place_among_the_records(cut: int | None) -> None:
    log = Log().tick(500, 1).beat(3000).tick(600, 2).tick(1000, 3)  # the heartbeat closes what ends at 1000
    owner = slicer()
    published = Published().read(owner, log.blocks([cut] if cut else []))
    assert [(late.offset, late.late_by_ms) for late in published.refused] == [(2, 0)]
    assert published.slices[("s", "A", 0)].count == 1
    assert tallied(owner.tallies) == {"counted": 2, "late": 1, "heartbeats": 1}


def test_an_end_closes_the_last_slice_and_the_lane_goes_on_after_it() -> None:
    log = Log().tick(5400, 1).beat(5400, end=True)
    log.tick(5900, 2)  # its slice was closed by the end
    log.tick(6100, 3).tick(6200, 4, source="t")
    one = slicer(log, lateness_ms=0)
    late = [record.late_by_ms for record in one.fold(log.block())]
    assert late == [0]
    assert one.tallies.counted == 3
    assert one.lanes.to_list() == [Lane("s", at(6100), at(6100)), Lane("t", at(6200), at(6200))]


@pytest.mark.parametrize("cut", range(1, 6))
def test_an_end_is_the_same_wherever_blocks_are_cut(cut: int) -> None:
    log = Log().tick(5400, 1).beat(5400, end=True).tick(5900, 2).beat(7000, end=True).tick(6500, 3).tick(8100, 4)
    one, other = slicer(log), slicer(log)
    refused = one.fold(log.block())
    assert other.fold(log.block(0, cut)) + other.fold(log.block(cut)) == refused
    assert (other.lanes.to_list(), other.tallies) == (one.lanes.to_list(), one.tallies)
    assert [record.time_ms - HOUR_MS for record in refused] == [5900, 6500]


def test_a_heartbeat_makes_a_lane_and_never_moves_it_back() -> None:
    owner, _ = read(Log().beat(3000).beat(1000).beat(7000, "t"))
    assert owner.lanes.watermark_ms == {"s": at(3000), "t": at(7000)}
    assert owner.pop_active() == {"s", "t"}
    assert owner.pop_active() == set()


def test_a_time_far_past_its_receipt_is_rejected_and_moves_no_watermark() -> None:
    log = Log().tick(5000, 1, received=1).tick(5002, 2, received=1)  # 0 would be: not known
    owner, published = read(log)
    assert published.refused == [
        DeadLetter(
            topic="trades",
            partition=0,
            offset=1,
            reason="event time is 5001 ms past its receipt, and skew_ms is 5000",
            value=log.block().values[1] or b"",
            size_bytes=len(log.block().values[1] or b""),
        )
    ]
    assert owner.lanes.watermark_ms == {"s": at(5000)}
    assert tallied(owner.tallies) == {"counted": 1, "rejected": 1}


def test_where_no_receipt_is_given_the_append_time_serves() -> None:
    log = Log().tick(5000, 1, received=0, appended=0).tick(5001, 2, received=0, appended=0)
    owner, published = read(log)
    assert [letter.offset for letter in published.refused] == [1]
    assert published.refused[0].reason == "event time is 5001 ms past its receipt, and skew_ms is 5000"
    assert tallied(owner.tallies) == {"counted": 1, "rejected": 1}


def test_a_repeated_event_counts_once_and_is_no_refusal() -> None:
    log = Log().tick(0, 1, 1.0).tick(0, 1, 1.0)
    log.tick(0, 1, 2.0, source="t").tick(0, 1, 4.0, symbol="B").tick(1000, 1, 8.0)  # other slices
    log.tick(0, 1, 1.0)
    owner, published = read(log)
    assert published.refused == []
    assert published.slices[("s", "A", 0)] == Slice(at(0), 1, 1.0, total=1.0, count=1, least_id=1, greatest_id=1)
    assert tallied(owner.tallies) == {"counted": 4, "repeated": 2}


def test_past_the_frontier_a_repeated_event_is_late() -> None:
    owner, _ = read(Log().tick(0, 1).tick(3000, 2).tick(0, 1))
    assert tallied(owner.tallies) == {"counted": 2, "late": 1}


def test_every_offset_is_in_exactly_one_tally() -> None:
    log = Log().hole(3).tick(0, 1).tick(0, 1).raw(b"?").beat(4000).tick(1, 2).raw(None).hole().tick(9999, 3, received=1)
    owner, _ = read(log)
    assert tallied(owner.tallies) == {
        "counted": 1,
        "late": 1,
        "rejected": 3,
        "repeated": 1,
        "heartbeats": 1,
        "empty": 4,
    }
    assert owner.upto == 11


def test_what_was_read_before_is_passed_over() -> None:
    log = Log().tick(0, 1).tick(1, 2).tick(2, 3)
    owner = slicer()
    for start, end in ((0, 2), (0, 2), (1, 3), (2, 3)):
        owner.fold(log.block(start, end))
    assert tallied(owner.tallies) == {"counted": 3}
    assert owner.read == owner.upto == 3


def test_a_large_dead_letter_keeps_its_head_its_length_and_its_digest() -> None:
    small, large = b"x" * 65_536, b"x" * 65_536 + b"y"
    _, published = read(Log().raw(small).raw(large))
    whole, head = published.refused
    assert isinstance(whole, DeadLetter)
    assert isinstance(head, DeadLetter)
    assert (whole.value, whole.size_bytes, whole.sha256) == (small, 65_536, "")
    assert (head.value, head.size_bytes, head.sha256) == (small, 65_537, sha256(large).hexdigest())
    assert b64decode(msgspec.json.decode(msgspec.json.encode(head))["value"]) == small


def test_a_dead_letter_of_a_null_is_empty() -> None:
    _, published = read(Log().raw(None))
    assert published.refused == [
        DeadLetter(
            topic="trades",
            partition=0,
            offset=0,
            reason="null value without a heartbeat header",
            value=b"",
            size_bytes=0,
        )
    ]


def test_a_frame_says_how_far_the_partition_is() -> None:
    log = Log(partition=3).tick(3000, 1).beat(500, "t").raw(b"?")
    owner = slicer(log, partitions=5)
    owner.fold(log.block())
    ((shard, frame),) = owner.flush(lambda _: 7, 9, everyone=False, idle=Idle(frozenset({"t"})))
    assert shard == 7
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame) == frame
    assert (frame.topic, frame.partition, frame.partitions) == ("trades", 3, 5)
    assert (frame.epoch, frame.upto, frame.idle, frame.incomplete) == (EPOCH, 3, False, None)
    assert frame.lanes == [Lane("s", at(3000), at(1000)), Lane("t", at(500), at(-1500), idle=True)]
    assert frame.tallies == Tallies(counted=1, heartbeats=1, rejected=1)
    assert unpacked(frame) == {("s", "A", 3000): Slice(at(3000), 1, 1.0, 1.0, 1, 1, 1)}


def test_upserts_are_cumulative_and_only_what_changed_is_sent() -> None:
    log = Log().tick(0, 1, 1.0).tick(0, 2, 2.0, symbol="B").tick(1, 3, 4.0)
    owner = slicer()

    def flush() -> list[tuple[int, int, dict[str, float]]]:
        frames = owner.flush("AB".index, 2, everyone=False)
        return [(s, f.upto, {key.symbol: row.total for key, row in unpacked(f).items()}) for s, f in frames]

    assert not owner.is_dirty
    assert flush() == []
    owner.fold(log.block(0, 2))
    assert owner.is_dirty
    assert flush() == [(0, 2, {"A": 1.0}), (1, 2, {"B": 2.0})]
    assert not owner.is_dirty
    assert flush() == []
    owner.fold(log.block(2, 3))
    assert flush() == [(0, 3, {"A": 5.0})]


def test_everyone_hears_even_where_nothing_changed() -> None:
    owner = slicer()
    frames = owner.flush(lambda _: 0, 3, everyone=True, idle=Idle(rest=True))
    assert [(shard, frame.idle, frame.lanes, unpacked(frame)) for shard, frame in frames] == [
        (0, True, [], {}),
        (1, True, [], {}),
        (2, True, [], {}),
    ]


@settings(max_examples=120)
@given(log=logs(), cuts=st.sets(st.integers(1, 60), max_size=8))
def test_wherever_blocks_are_cut_it_is_what_plain_python_finds(log: Log, cuts: set[int]) -> None:
    owner = slicer()
    published = Published().read(owner, log.blocks(cuts))
    judged = judge(log)
    assert published.slices == judged.slices
    assert tallied(owner.tallies) == judged.tallies
    assert sum(tallied(owner.tallies).values()) == owner.upto == log.end
    assert (owner.lanes.watermark_ms, owner.lanes.frontier_ms) == (judged.watermark_ms, judged.frontier_ms)
    assert {r.offset: r.late_by_ms for r in published.refused if isinstance(r, Late)} == judged.late_by_ms
    assert {r.offset for r in published.refused if isinstance(r, DeadLetter)} == judged.rejected


@settings(max_examples=40)
@given(
    log=logs(), cuts=st.sets(st.integers(1, 60), max_size=8), often=st.lists(st.booleans(), min_size=60, max_size=60)
)
def test_when_it_is_flushed_changes_nothing(log: Log, cuts: set[int], often: list[bool]) -> None:
    owner, published = slicer(), Published()
    for block, now in zip(log.blocks(cuts), often, strict=False):
        owner.fold(block)
        if now:
            published.flush(owner, everyone=False)
    published.flush(owner)
    assert published.slices == judge(log).slices
    assert tallied(owner.tallies) == judge(log).tallies


def test_a_late_record_may_hold_bytes_that_are_not_utf8() -> None:
    # Decoding passes over what the Struct doesn't name, so nobody has looked at these bytes.
    log = Log().tick(0, 1).tick(3000, 2)
    text = Log().tick(0, 3, note="?").block().values[0] or b""
    log.raw(text.replace(b'"?"', b'"\xff"'))
    owner = slicer()
    (late,) = owner.fold(log.block())
    assert isinstance(late, Late)
    assert late.value == text.decode().replace("?", "\ufffd")
    assert late.size_bytes == len(text)
    assert tallied(owner.tallies) == {"counted": 2, "late": 1}


def test_a_late_record_fits_its_topic_however_large_it_was() -> None:
    log = Log().tick(0, 1).tick(3000, 2).tick(0, 3, note="x" * 3_000_000)
    (late,) = slicer().fold(log.block())
    assert isinstance(late, Late)
    assert late.size_bytes == 3_000_108
    assert late.value == (log.block().values[2] or b"")[:65_536].decode()
    assert len(msgspec.json.encode(late)) < 1 << 20


@pytest.mark.parametrize("note", ["é" * 40_000, "xé" + "é" * 40_000])
def test_the_head_of_a_late_record_may_end_inside_a_character(note: str) -> None:
    log = Log().tick(0, 1).tick(3000, 2).tick(0, 3, note=note)
    (late,) = slicer().fold(log.block())
    assert isinstance(late, Late)
    whole = (log.block().values[2] or b"").decode()
    kept = late.value.rstrip("\ufffd")
    assert whole.startswith(kept)
    assert len(kept.encode()) in (65_535, 65_536)


def test_dead_letters_come_by_place_and_late_records_after_them() -> None:
    # The last is found while decoding, the one before it after: they come in the order in which they lie.
    log = Log().tick(0, 1).tick(4000, 2).tick(0, 3).tick(20_000, 4, received=1).raw(b"?").tick(1, 5).raw(None)
    refused = slicer().fold(log.block())
    assert [(type(one), one.offset) for one in refused] == [
        (DeadLetter, 3),
        (DeadLetter, 4),
        (DeadLetter, 6),
        (Late, 2),
        (Late, 5),
    ]


def test_a_lane_that_fell_silent_does_not_hold_on_to_all_ids() -> None:
    log = Log().tick(0, 0, source="t")
    for i in range(200):
        log.tick(1000 * i, i)
    owner = slicer()
    Published().read(owner, log.blocks(range(1, log.end, 10)))
    assert len(owner) == 4  # of 201 slices: three of the one, one of the other
    # They are dropped with the next slice that closes.
    assert sum(len(ids) for _, ids in owner._open._repeats._held) == 4

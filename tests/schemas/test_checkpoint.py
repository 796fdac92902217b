"""A partition taken up again from its last commit: nothing lost, nothing doubled, nothing folded from its middle."""

import tracemalloc
from base64 import b85encode
from hashlib import sha256
from zlib import compress, crc32

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.engine.blocks import HOUR_MS, Log, Published, slicer, tallied
from tests.engine.logs import logs
from tests.engine.oracle import judge
from tickertape.schemas.checkpoint import (
    METADATA_BYTES,
    Reference,
    SliceCheckpoint,
    Views,
    WindowCheckpoint,
    checkpoint_in,
    head_of,
    is_long,
    refer,
    reference_in,
    slices_from,
    to_metadata,
    windows_from,
)
from tickertape.schemas.frame import Lane, Tallies
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.slices.slicer import Slicer


def at(ms: int) -> int:
    return HOUR_MS + ms


def restored(owner: Slicer, log: Log, *, lateness_ms: int = 2000, begin: int = 0, now: int = 0) -> Slicer:
    """Return who comes next, knowing nothing but the commit."""
    offset, saved = owner.checkpoint()
    return slicer(
        log, lateness_ms=lateness_ms, checkpoint=slices_from(to_metadata(saved)), committed=offset, begin=begin, now=now
    )


def test_a_commit_goes_back_to_the_oldest_record_of_any_open_slice() -> None:
    # The first slice is closed by the record at 3000; of the open ones, the oldest record is at offset 1.
    log = Log().tick(0, 1).tick(1500, 2).raw(b"?").tick(3000, 3)
    owner = slicer()
    Published().read(owner, log.blocks())
    assert owner.checkpoint() == (
        1,
        SliceCheckpoint(
            upto=4,
            start=0,
            lanes=[Lane("s", at(3000), at(1000))],
            tallies=Tallies(counted=3, rejected=1),
            partitions=1,
        ),
    )


def test_with_no_slice_open_a_commit_is_how_far_it_was_read() -> None:
    owner = slicer()
    Published().read(owner, Log().tick(0, 1).beat(9000).blocks())
    assert owner.checkpoint()[0] == 2


def test_a_commit_comes_back_as_it_was() -> None:
    slices = SliceCheckpoint(
        upto=9,
        start=3,
        lanes=[Lane("é|\"'", -5, 7, idle=True)],
        tallies=Tallies(1, 2, 3, 4, 5, 6, 7, 8),
        incomplete=(1, 2),
        partitions=6,
    )
    windows = WindowCheckpoint(upto=4, topics={"trades": Views(2, {"all": -(1 << 62), "s": 5}, {"s": 7})})
    assert slices_from(to_metadata(slices)) == slices
    assert windows_from(to_metadata(windows)) == windows


def named(n: int) -> list[str]:
    """Return names of sources as long as they may be, which say little of each other."""
    return [sha256(str(i).encode()).hexdigest()[:24] for i in range(n)]


def windows_of(n: int) -> WindowCheckpoint:
    times = {name: at(7919 * i) for i, name in enumerate(named(n))}
    return WindowCheckpoint(upto=4, topics={"trades": Views(8, times, {name: ms - 2000 for name, ms in times.items()})})


def test_a_commit_that_kafka_would_refuse_is_packed() -> None:
    small, large = windows_of(40), windows_of(60)
    assert to_metadata(small).startswith("[")
    assert len(msgspec.json.encode(large)) > METADATA_BYTES >= len(to_metadata(large))
    assert windows_from(to_metadata(large)) == large


def test_a_commit_is_measured_in_bytes() -> None:
    lanes = SliceCheckpoint(
        lanes=[Lane(f"{i:02}" + "\N{CHART WITH UPWARDS TREND}" * 22, at(0), at(0)) for i in range(40)]
    )
    assert len(to_metadata(lanes).encode()) <= METADATA_BYTES
    assert slices_from(to_metadata(lanes)) == lanes


def test_a_checkpoint_that_no_commit_takes_is_referred_to() -> None:
    windows = windows_of(500)
    slices = SliceCheckpoint(
        upto=90,
        lanes=[Lane(name, at(7919 * i), at(i)) for i, name in enumerate(named(300))],
        tallies=Tallies(counted=90),
    )
    assert not is_long(to_metadata(windows_of(60)))
    for saved in (windows, slices):
        text = to_metadata(saved)
        assert is_long(text)
        said = Reference("commit-state", 0, 7, "key", crc32(text.encode()), head_of(text))
        commit = refer(said)
        assert not is_long(commit)
        assert reference_in(commit) == said
        # Who would take it for the whole is stopped.
        with pytest.raises(ValueError, match="refers to a record"):
            slices_from(commit)
        with pytest.raises(ValueError, match="refers to a record"):
            windows_from(commit)
    # What it tells itself is how far the partition is.
    assert slices_from(head_of(to_metadata(slices))) == replace(slices, lanes=slices.lanes[-1:])
    assert windows_from(head_of(to_metadata(windows))) == WindowCheckpoint(upto=4)
    assert (slices_from(to_metadata(slices)), windows_from(to_metadata(windows))) == (slices, windows)


@pytest.mark.parametrize("metadata", ["", "[]", "state", to_metadata(windows_of(60))])
def test_a_commit_that_holds_its_checkpoint_refers_to_nothing(metadata: str) -> None:
    assert reference_in(metadata) is None
    assert checkpoint_in(metadata) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        "zlib:",
        "zlib:é",
        "zlib:\x7f",
        "zlib:" + b85encode(b"no stream of zlib").decode(),
        "zlib:" + b85encode(compress(b"not JSON")).decode(),
        # A cut-off stream.
        to_metadata(windows_of(60))[:-40],
    ],
)
def test_what_only_looks_packed_is_no_commit_of_ours(metadata: str) -> None:
    assert slices_from(metadata) is None
    assert windows_from(metadata) is None


def test_what_unpacks_to_gigabytes_is_no_commit_of_ours() -> None:
    # Valid JSON of 64 MiB, which packs into 64 KiB.
    bomb = "zlib:" + b85encode(compress(b"[" + b" " * (64 << 20) + b"9]")).decode()
    tracemalloc.start()
    try:
        assert windows_from(bomb) is None
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_reading_again_publishes_nothing_and_tallies_nothing() -> None:
    log = Log().tick(0, 1, 1.0).tick(0, 1).raw(b"?").tick(9999, 2, received=1).beat(100).tick(1, 3, 2.0).tick(2, 4, 4.0)
    first = slicer()
    Published().read(first, log.blocks([6], start=0))
    second = restored(first, log)
    assert (second.read, second.upto) == (0, 7)
    published = Published()
    assert second.fold(log.block(0, 6)) == []
    published.flush(second)
    assert published.slices == {}
    assert not second.is_dirty
    assert second.tallies == first.tallies
    assert second.fold(log.block(6, 7)) == []
    published.flush(second)
    assert published.slices == judge(log).slices
    assert second.tallies == first.tallies


def test_reading_again_passes_over_slices_that_were_closed() -> None:
    # The commit goes back to offset 0 for the sake of source t; the first slice of s is closed.
    log = Log().tick(0, 1, source="t").tick(0, 2).tick(3000, 3).tick(3001, 4)
    first = slicer()
    Published().read(first, [log.block(0, 3)])
    second = restored(first, log)
    assert second.read == 0
    published = Published().read(second, log.blocks())
    assert set(published.slices) == {("t", "A", 0), ("s", "A", 3000)}
    assert published.slices[("s", "A", 3000)].count == 2


def test_a_block_may_begin_below_and_end_above_what_was_read() -> None:
    log = Log().tick(0, 1, 1.0).tick(1, 2, 2.0).tick(2, 3, 4.0)
    first = slicer()
    Published().read(first, [log.block(0, 2)])
    second = restored(first, log)
    published = Published().read(second, log.blocks())
    assert published.slices == judge(log).slices
    assert tallied(second.tallies) == {"counted": 3}


def test_repeats_are_found_across_owners() -> None:
    log = Log().tick(0, 7).tick(1, 8).tick(0, 7)
    first = slicer()
    Published().read(first, [log.block(0, 2)])
    second = restored(first, log)
    Published().read(second, log.blocks())
    assert tallied(second.tallies) == {"counted": 2, "repeated": 1}


class Retention:
    """A log whose first slice is closed and whose others are open, read up to offset 5; then its beginning goes."""

    def __init__(self) -> None:
        self.log = Log().tick(0, 1).tick(1500, 2).tick(2500, 3).tick(3000, 4).tick(3100, 5)
        self.first = slicer()
        self.published = Published().read(self.first, self.log.blocks())
        assert self.first.checkpoint()[0] == 1

    def next_owner(self, begin: int, now: int = 0) -> Slicer:
        owner = restored(self.first, self.log, begin=begin, now=now)
        self.published.read(owner, self.log.blocks(start=begin))
        return owner


def test_what_retention_took_below_the_commit_is_no_loss() -> None:
    retention = Retention()
    owner = retention.next_owner(begin=1)
    assert owner.incomplete is None
    assert tallied(owner.tallies) == {"counted": 5}


def test_a_slice_whose_beginning_is_gone_stands_as_it_was_published() -> None:
    retention = Retention()
    before = dict(retention.published.slices)
    # Of the open slices only the records from offset 3 on are left: none is folded from there.
    retention.log.tick(3200, 6).tick(4000, 7)
    owner = retention.next_owner(begin=3)
    assert {key: row for key, row in retention.published.slices.items() if key in before} == before
    assert retention.published.slices.keys() - before.keys() == {("s", "A", 4000)}
    assert owner.incomplete == (at(1100), at(4000))
    # It was read, but for its slice that is closed now.
    assert [(late.offset, late.late_by_ms) for late in retention.published.refused if isinstance(late, Late)] == [
        (5, 0)
    ]
    assert tallied(owner.tallies) == {"counted": 6, "late": 1}
    assert owner.upto - owner.start == 7


def test_what_was_never_read_is_lost_and_counted() -> None:
    retention = Retention()
    for number in range(6, 10):  # offsets 5 to 8
        retention.log.tick(4000 + number, number)
    owner = retention.next_owner(begin=8, now=7100)
    assert tallied(owner.tallies) == {"counted": 6, "lost": 3}
    assert (owner.upto, owner.start) == (9, 0)
    # They may have been of any time up to now and the skew.
    assert owner.incomplete == (0, at(13_000))


def test_what_was_lost_is_counted_before_anything_is_read() -> None:
    log = Log()
    for number in range(9):
        log.tick(number, number)
    saved = SliceCheckpoint(upto=5, lanes=[Lane("s", at(4), at(-1996))], tallies=Tallies(counted=5))
    owner = slicer(log, checkpoint=saved, committed=5, begin=8)
    assert (owner.read, owner.upto, owner.tallies.lost) == (8, 8, 3)
    # So a commit that is made at once adds up.
    _, commit = owner.checkpoint()
    assert sum(msgspec.structs.astuple(commit.tallies)) == commit.upto - commit.start == 8


def test_a_slice_in_which_the_log_begins_anew_is_incomplete() -> None:
    retention = Retention()
    for number in range(6, 10):  # offsets 5 to 8, all in one slice; three of them are lost
        retention.log.tick(7000 + number, number)
    owner = retention.next_owner(begin=8, now=7100)
    assert retention.published.slices[("s", "A", 7000)].count == 1
    assert owner.incomplete is not None
    since_ms, until_ms = owner.incomplete
    assert since_ms < at(8000) <= until_ms


def test_a_loss_is_told_by_all_owners_to_come() -> None:
    retention = Retention()
    owner = retention.next_owner(begin=3)
    again = restored(owner, retention.log)
    assert again.incomplete == owner.incomplete == (at(1100), at(4000))
    ((_, frame),) = again.flush(lambda _: 0, 1, everyone=True)
    assert frame.incomplete == (at(1100), at(4000))


def test_a_log_that_begins_late_and_was_never_read_lost_nothing() -> None:
    log = Log().tick(0, 1).tick(1, 2).tick(2, 3)
    owner = slicer(log, begin=2)
    Published().read(owner, log.blocks(start=2))
    assert owner.incomplete is None
    assert (owner.start, owner.upto) == (2, 3)
    assert tallied(owner.tallies) == {"counted": 1}


def test_where_an_operator_has_set_the_offset_the_tallies_begin_there() -> None:
    # `kafka-consumer-groups --reset-offsets` leaves a commit without metadata.
    log = Log().tick(0, 1).tick(1, 2).tick(2, 3)
    owner = slicer(log, committed=2, begin=0)
    Published().read(owner, log.blocks(start=2))
    assert sum(tallied(owner.tallies).values()) == owner.upto - owner.start


@settings(max_examples=150)
@given(log=logs(), data=st.data())
def test_owners_that_die_anywhere_publish_what_one_would_have(log: Log, data: st.DataObject) -> None:
    # A published union, late records and dead letters by offset: what a reader of upserts is left with.
    published = Published()
    lateness = {0: data.draw(st.sampled_from([0, 500, 2000, 4000]))}
    owner = slicer(log, lateness_ms=lateness[0])
    upto = furthest = 0
    for _ in range(data.draw(st.integers(0, 3))):
        committed = data.draw(st.integers(upto, log.end))
        # It reads on past its commit and publishes, and dies.
        died = data.draw(st.integers(committed, log.end))
        cuts = {committed, *data.draw(st.sets(st.integers(0, log.end), max_size=3))}
        for block in log.blocks(cuts, start=owner.read):
            if block.end > died:
                break
            published.read(owner, [block])
            if block.end == committed:
                break
        if owner.read < owner.upto or owner.read != committed:
            continue
        successor = restored(owner, log, lateness_ms=lateness[max(lateness)])
        published.read(owner, [log.block(committed, died)])  # and by then it may be a zombie
        furthest = max(furthest, died)
        if furthest == committed:
            # Another lateness holds from what nobody has read, no zombie either.
            lateness[committed] = data.draw(st.sampled_from([0, 500, 2000, 4000]))
            successor = restored(owner, log, lateness_ms=lateness[committed])
        owner, upto = successor, committed
    published.read(owner, log.blocks(data.draw(st.sets(st.integers(0, log.end), max_size=4)), start=owner.read))

    judged = judge(log, lateness)
    assert published.slices == judged.slices
    assert tallied(owner.tallies) == judged.tallies
    assert owner.upto - owner.start == log.end
    assert (owner.lanes.watermark_ms, owner.lanes.frontier_ms) == (judged.watermark_ms, judged.frontier_ms)
    assert {r.offset: r.late_by_ms for r in published.refused if isinstance(r, Late)} == judged.late_by_ms
    assert {r.offset for r in published.refused if isinstance(r, DeadLetter)} == judged.rejected

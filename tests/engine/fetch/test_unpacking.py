"""What our unpacking makes of a fetch, against aiokafka's own of the same bytes."""

from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.compiled.both import without_library
from tests.engine.fetched import APPENDED_MS, TP_READ, Batch, NoText, logs, unpack
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch import unpacking
from tickertape.stream.engine.fetch.unpacking import BlockRecords, Blocks, FetchedBytes
from tickertape.stream.errors import BrokerError

Seen = tuple[int, bytes | None, int, tuple[tuple[str, bytes], ...]]

WIDE = Blocks(frozenset({TP_READ.topic}), 1000, 1 << 20)


def blocks(batches: list[Batch], limit: Blocks = WIDE, start: int = 0, **options: Any) -> list[Block]:
    return [record.value for record in unpack(unpacking._partition_records, batches, limit, start=start, **options)]


def in_blocks(found: list[Block]) -> list[Seen]:
    """Return every record of some blocks; those with a value without headers, for these are not kept."""
    return [
        (int(offset), value, int(stamp), block.headers.get(at, ()))
        for block in found
        for at, (offset, value, stamp) in enumerate(zip(block.offsets, block.values, block.appended_ms, strict=True))
    ]


def by_aiokafka(batches: list[Batch], start: int = 0) -> tuple[list[Seen], int]:
    """Return what aiokafka makes of it, and from where it would fetch next."""
    records = unpack(unpacking._Records, batches, start=start)
    seen = [(r.offset, r.value, r.timestamp, r.headers if r.value is None else ()) for r in records]
    return seen, records.next_fetch_offset


def size_bytes(block: Block) -> int:
    return sum(len(value or b"") for value in block.values)


@given(
    logs(),
    st.integers(1, 20),
    st.integers(1, 400),
    st.floats(0, 1),
)
def test_same_records_as_aiokafka_whatever_the_bounds(
    log: list[Batch], records: int, most_bytes: int, part: float
) -> None:
    start = int(part * (log[-1].end - 1))
    seen, end = by_aiokafka(log, start)
    found = blocks(log, Blocks(WIDE.topics, records, most_bytes), start)
    assert in_blocks(found) == seen
    # Each goes on where the one before ends, and together they cover all that was fetched.
    assert [found[0].start, found[-1].end] == [start, end]
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(block.start <= block.offsets[0] and block.offsets[-1] < block.end for block in found if len(block))
    assert all(len(block) <= records for block in found)
    assert all(size_bytes(block) <= most_bytes for block in found if len(block) > 1)


@given(logs(), st.integers(1, 20))
def test_position_between_two_blocks_is_where_the_next_begins(log: list[Batch], records: int) -> None:
    # aiokafka hands out a fetch in parts, and checks the position between them.
    unpacked = unpack(unpacking._partition_records, log, Blocks(WIDE.topics, records, 100), start=log[0].base)
    for record in unpacked:
        assert unpacked.next_fetch_offset == record.value.end
        assert record.offset == record.value.end - 1


def test_record_past_the_bound_is_a_block_of_its_own() -> None:
    values = {0: b"a", 1: b"b", 2: b"c" * 500, 3: b"d", 4: b"e"}
    found = blocks([Batch(base=0, values=values, span=5)], Blocks(WIDE.topics, 100, 50))
    assert [block.values for block in found] == [[b"a", b"b"], [b"c" * 500], [b"d", b"e"]]


def test_bound_holds_where_a_fetch_mixes_compressed_batches_and_others() -> None:
    values: dict[int, bytes | None] = dict.fromkeys(range(17), b"a" * 100)
    log = [Batch(base=17 * n, values=values, span=17, codec=n % 2) for n in range(3)]
    most_bytes = sum(len(batch.encoded()) for batch in log)
    assert 3600 < most_bytes < 5100
    found = blocks(log, Blocks(WIDE.topics, 1000, 3600))
    assert [size_bytes(block) for block in found] == [3400, 1700]
    found = blocks(log, Blocks(WIDE.topics, 1000, most_bytes))
    assert len(found) == 2
    assert all(size_bytes(block) <= most_bytes for block in found)


def test_headers_of_nulls_are_kept_by_their_place_in_the_block() -> None:
    values = {0: b"a", 1: None, 2: b"b", 3: b"c", 4: None}
    beat = (("heartbeat", b"{}"),)
    found = blocks([Batch(base=7, values=values, span=5, headers=beat)], Blocks(WIDE.topics, 3, 1000), start=7)
    assert [block.headers for block in found] == [{1: beat}, {1: beat}]


@pytest.mark.parametrize("append_time", [True, False])
@pytest.mark.parametrize("codec", range(5))
def test_header_whose_key_is_no_text_is_one_that_nobody_knows(codec: int, *, append_time: bool) -> None:
    values = {0: b"a", 1: None, 2: b"b"}
    headers = (("beat", b"1"), (NoText("beat"), b"2"))
    log = [
        Batch(base=7, values=values, span=3, headers=headers, codec=codec, append_time=append_time),
        Batch(base=10, values={0: b"c"}, span=1, headers=headers, codec=codec, append_time=append_time),
    ]
    (block,) = blocks(log, WIDE, start=7)
    assert (block.start, block.end, block.values) == (7, 11, [b"a", None, b"b", b"c"])
    assert block.headers == {1: (("beat", b"1"), ("\ufffd\ufffd", b"2"))}
    stamps_ms = [2, 2, 2, 0] if append_time else [0, 1, 2, 0]
    assert (block.appended_ms - APPENDED_MS).tolist() == stamps_ms


def test_run_of_aborted_records_and_markers_is_a_block_without_values() -> None:
    log = [
        Batch(base=0, values={0: b"a", 1: b"b"}, span=2, producer=1),
        Batch(base=2, values={}, span=1, producer=1, marker="abort"),
    ]
    (block,) = blocks(log)
    assert (block.start, block.end, len(block), block.empty) == (0, 3, 0, 3)


def test_one_producer_aborts_and_another_commits() -> None:
    log = [
        Batch(base=0, values={0: b"lost"}, span=1, producer=1),
        Batch(base=1, values={0: b"kept"}, span=1, producer=2),
        Batch(base=2, values={}, span=1, producer=1, marker="abort"),
        Batch(base=3, values={0: b"kept too"}, span=1, producer=1),
        Batch(base=4, values={}, span=1, producer=2, marker="commit"),
        Batch(base=5, values={}, span=1, producer=1, marker="commit"),
    ]
    (block,) = blocks(log)
    assert (block.values, block.offsets.tolist(), block.end) == ([b"kept", b"kept too"], [1, 3], 6)


def test_fetch_from_the_middle_of_a_batch() -> None:
    log = [Batch(base=0, values={delta: b"%d" % delta for delta in range(6)}, span=6, codec=1)]
    (block,) = blocks(log, start=4)
    assert (block.start, block.end, block.offsets.tolist(), block.values) == (4, 6, [4, 5], [b"4", b"5"])


def test_fetch_from_past_the_last_record_that_compaction_left() -> None:
    (block,) = blocks([Batch(base=0, values={0: b"a"}, span=8)], start=5)
    assert (block.start, block.end, len(block)) == (5, 8, 0)


def test_append_time_is_the_batchs_and_create_time_the_records() -> None:
    values: dict[int, bytes | None] = {0: b"a", 1: b"b", 2: b"c"}
    (created,) = blocks([Batch(base=0, values=values, span=3)])
    (appended,) = blocks([Batch(base=0, values=values, span=3, append_time=True)])
    assert created.appended_ms.tolist() == [APPENDED_MS, APPENDED_MS + 1, APPENDED_MS + 2]
    assert appended.appended_ms.tolist() == [APPENDED_MS + 2] * 3


def test_wrong_crc_is_told_with_its_place() -> None:
    # A span that the builder didn't write is under the CRC.
    log = [Batch(base=0, values={0: b"a"}, span=1), Batch(base=1, values={0: b"b"}, span=3)]
    with pytest.raises(BrokerError, match="read, partition 0: the record batch that holds offset 1 is damaged"):
        blocks(log, check_crcs=True)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(bytes(200), id="zeros"),
        pytest.param(b"\xff" * 200, id="a length below zero"),
        pytest.param(Batch(base=1, values={0: b"b"}, span=1).encoded()[:16] + b"\x01" + bytes(200), id="an old format"),
    ],
)
@pytest.mark.parametrize("check_crcs", [True, False])
def test_what_is_no_batch_is_told_with_its_place(damage: bytes, check_crcs: bool) -> None:
    whole = Batch(base=0, values={0: b"a"}, span=1).encoded()
    records = unpacking._partition_records(
        TP_READ, FetchedBytes(whole + damage), None, 0, None, WIDE, check_crcs, READ_COMMITTED
    )
    with pytest.raises(BrokerError, match="the record batch that holds offset 1 is damaged"):
        list(records)


@pytest.mark.parametrize("codec", range(5))
def test_right_crc_passes(codec: int) -> None:
    log = [Batch(base=0, values={0: b"a", 1: b"b"}, span=2, codec=codec)]
    (block,) = blocks(log, check_crcs=True)
    assert block.values == [b"a", b"b"]


@pytest.mark.parametrize("left_bytes", [0, 5, 12, 61, 78])
def test_batch_that_the_broker_has_cut_off_is_left_for_the_next_fetch(left_bytes: int) -> None:
    whole = [Batch(base=0, values={0: b"a"}, span=1).encoded(), Batch(base=1, values={0: b"b"}, span=1).encoded()]
    assert len(whole[1]) == 79
    fetched = whole[0] + whole[1][:left_bytes]
    assert [fetched[where] for where in FetchedBytes(fetched).batches()] == whole[:1]


def test_other_topics_and_other_consumers_get_aiokafkas_own() -> None:
    log = [Batch(base=0, values={0: b"a"}, span=1)]
    others = Blocks(frozenset({"another"}), 1, 1)
    for deserializer in (None, others, bytes.upper):
        made = unpack(unpacking._partition_records, log, deserializer)
        assert type(made) is unpacking._Records
    assert type(unpack(unpacking._partition_records, log, WIDE)) is BlockRecords
    assert [record.value for record in unpack(unpacking._partition_records, log, others)] == [b"a"]


def test_a_block_has_few_bundles_of_many_events() -> None:
    """A block of at most 5 records may have 20 events, which here are 9 for each bundle and 1 for others."""
    bundles = (("bundle", b'{"version":1,"events":9}'),)
    log = [
        Batch(base=0, values={0: b"a", 1: b"b", 2: b"c"}, span=3, headers=bundles),
        Batch(base=3, values={0: b"d", 1: b"e"}, span=2),
        Batch(base=5, values={0: None, 1: b"f"}, span=2, headers=bundles),
        # One that says more than there may be is none, and is rejected later.
        Batch(base=7, values={0: b"g"}, span=1, headers=(("bundle", b'{"version":1,"events":5000}'),)),
    ]
    for path in (nullcontext, without_library):
        with path():
            found = blocks([replace(one, append_time=True) for one in log], Blocks(WIDE.topics, 5, 1 << 20))
        assert [(block.start, block.end, block.events) for block in found] == [(0, 2, 18), (2, 5, 11), (5, 8, 11)]
        assert [sorted(block.bundles) for block in found] == [[0, 1], [0], [1, 2]]

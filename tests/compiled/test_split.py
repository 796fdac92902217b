"""A record batch that is split is what aiokafka makes of it; one that is damaged is left, with the same error."""

import struct
from random import Random
from typing import Any

import pytest
from crc32c import crc32c
from hypothesis import given
from hypothesis import strategies as st

from tests.compiled import batches
from tests.compiled.batches import Case
from tests.compiled.both import needs_library, without_library
from tests.engine.fetched import APPENDED_MS, TP_READ, Batch, NoText, logs, unpack
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.core.values import PackedValues
from tickertape.stream.engine.fetch import unpacking
from tickertape.stream.engine.fetch.unpacking import Blocks

pytestmark = needs_library

WIDE = Blocks(frozenset({TP_READ.topic}), 1000, 1 << 20)
BEAT: Headers = (("beat", b"1"),)


def blocks(log: list[Batch], limit: Blocks = WIDE, start: int = 0) -> list[Block]:
    return [record.value for record in unpack(unpacking._partition_records, log, limit, start=start)]


def told(found: list[Block]) -> list[Any]:
    return [
        (
            (block.start, block.end),
            (block.offsets.tolist(), list(block.values), block.appended_ms.tolist(), block.headers, block.bundles),
        )
        for block in found
    ]


@given(logs(), st.integers(1, 20), st.integers(1, 400), st.floats(0, 1))
def test_every_log_is_the_same_with_the_library(log: list[Batch], records: int, most_bytes: int, part: float) -> None:
    limit, start = Blocks(WIDE.topics, records, most_bytes), int(part * (log[-1].end - 1))
    with without_library():
        expected = told(blocks(log, limit, start))
    assert told(blocks(log, limit, start)) == expected


VALUES: dict[str, dict[int, bytes | None]] = {
    "values": {0: b"a", 1: b"bc", 2: b"d" * 200},
    "an empty one": {0: b"a", 1: b"", 2: b"c"},
    "nulls": {0: None, 1: b"b", 2: None},
    "holes": {1: b"a", 4: b"b"},
    "nothing": {},
    "more than 64": dict.fromkeys(range(100), b"v"),
}
HEADERS: dict[str, Headers] = {
    "no headers": (),
    "a header": BEAT,
    "headers": (("beat", b"1"), ("", b""), ("é", b"\xff" * 70)),
    "a key that isn't UTF-8": (*BEAT, (NoText("beat"), b"2")),
    "a bundle": (("bundle", b"1"), ("bundle", b"2")),
    "a bundle among others": (*BEAT, ("bundles", b""), ("bundle", None), (NoText("bundle"), b"2")),
    "a header that is null": ((NoText("beat"), b"2"), ("none", None)),
}


@pytest.mark.parametrize("append_time", [True, False], ids=["append time", "create time"])
@pytest.mark.parametrize("codec", range(5))
@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_a_batch_of_each_kind_is_split_to_what_aiokafka_makes_of_it(
    values: dict[int, bytes | None], headers: Headers, codec: int, *, append_time: bool
) -> None:
    span = max(values, default=0) + 3
    log = [Batch(base=7, values=values, span=span, headers=headers, codec=codec, append_time=append_time)]
    found = blocks(log, start=7)
    assert all(isinstance(block.values, PackedValues) for block in found if len(block))
    with without_library():
        assert told(found) == told(blocks(log, start=7))


def test_a_split_batch_is_as_it_was_written() -> None:
    headers: Headers = (("beat", b"1"), (NoText("x"), b"2"), ("none", None))
    values = {0: b"a", 2: None, 3: b"", 5: b"b" * 300}
    log = [Batch(base=40, values=values, span=8, headers=headers)]
    ((ends, (offsets, found, times_ms, headers_found, _)),) = told(blocks(log, start=40))
    assert ends == (40, 48)
    assert offsets == [40, 42, 43, 45]
    assert found == [b"a", None, b"", b"b" * 300]
    assert [time - APPENDED_MS for time in times_ms] == [0, 2, 3, 5]
    assert headers_found == {1: (("beat", b"1"), ("\ufffd\ufffd", b"2"), ("none", None))}


def batch(records: bytes, count: int, *, span: int = 9, first_ms: int = 5, base: int = 0) -> Case:
    head = struct.pack(">qiibIhiqqqhii", base, 0, 0, 2, 0, 0, span - 1, first_ms, 9, -1, -1, -1, count)
    return Case(head, records, 0)


def record(value: bytes, *, offset: int = 0, later_ms: int = 0) -> bytes:
    """Return a record by its parts, all of them small."""
    body = bytes([0, 2 * later_ms, 2 * offset, 1, 2 * len(value)]) + value + b"\x00"
    return bytes([2 * len(body)]) + body


TWO = record(b"a") + record(b"b", offset=1)
SPLIT: dict[str, Case] = {
    "two records": batch(TWO, 2),
    "none": batch(b"", 0),
    "a number in more bytes than it needs": batch(b"\x90\x00" + record(b"ab")[1:], 1),
    "the last offset of the span": batch(record(b"a", offset=8), 1),
}
NOT_SPLIT: dict[str, Case] = {
    "fewer records than it says": batch(TWO, 3),
    "more records than it says": batch(TWO, 1),
    "a count below zero": batch(TWO, -1),
    "a huge count": batch(TWO, 2**31 - 1),
    "a record that is cut off": batch(TWO[:-1], 2),
    "bytes behind": batch(TWO + b"\x00", 2),
    "a record's size too small": batch(b"\x0c" + record(b"ab")[1:], 1),
    "a record's size too large": batch(b"\x12" + record(b"ab")[1:] + record(b"b"), 2),
    "a record's size of zero": batch(b"\x00" + record(b"ab")[1:], 1),
    "a record's size below zero": batch(b"\x01" + record(b"ab")[1:], 1),
    "a value longer than its record": batch(record(b"ab").replace(b"\x04ab", b"\x08ab"), 1),
    "a value's size below -1": batch(record(b"").replace(b"\x01\x00\x00", b"\x01\x03\x00"), 1),
    "headers below zero": batch(record(b"a")[:-1] + b"\x01", 1),
    "headers that aren't there": batch(record(b"a")[:-1] + b"\x02", 1),
    "a header's key that is null": batch(b"\x14" + record(b"a")[1:-1] + b"\x02\x01\x00", 1),
    # With attributes of one byte it would be a record, too: one with another key, value and header.
    "attributes in two bytes": batch(b"\x12\x80\x00\x00\x00\x02X\x02\x00\x00", 1),
    "a number of ten bytes": batch(b"\x80" * 9 + b"\x01" + TWO, 2),
    "a number without an end": batch(b"\xff" * 20, 1),
    "an offset twice": batch(record(b"a") * 2, 2, span=2),
    "offsets that fall": batch(record(b"a", offset=1) + record(b"b"), 2, span=2),
    "an offset below the first": batch(record(b"a").replace(b"\x00\x00\x00\x01", b"\x00\x00\x01\x01"), 1),
    "an offset past the last": batch(record(b"a", offset=9), 1),
    "a time past 64 bits": batch(record(b"a", later_ms=1), 1, first_ms=2**63 - 1),
    "an offset past 64 bits": batch(record(b"a", offset=2), 1, base=2**63 - 2),
}


@pytest.mark.parametrize("case", SPLIT.values(), ids=SPLIT.keys())
def test_what_is_as_the_protocol_says_is_split(case: Case) -> None:
    found, error, packed = batches.made(case.encoded(), with_library=True)
    assert (error, packed) == ("", len(found))
    assert batches.differ(case) is None


@pytest.mark.parametrize("case", NOT_SPLIT.values(), ids=NOT_SPLIT.keys())
def test_what_is_not_as_the_protocol_says_is_left_to_aiokafka(case: Case) -> None:
    assert not batches.was_split(case)
    assert batches.differ(case) is None


def test_a_damaged_batch_has_the_right_crc() -> None:
    data = NOT_SPLIT["bytes behind"].encoded()
    assert int.from_bytes(data[17:21], "big") == crc32c(data[21:])


@given(st.integers(0, 2**40))
def test_a_damaged_batch_is_the_same_with_the_library(seed: int) -> None:
    case = batches.mutated(Random(seed))
    assert batches.differ(case) is None

"""Batches of packed records, read as aiokafka reads them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.record.memory_records import MemoryRecords

from tests.compiled.both import needs_library, packed
from tickertape.stream.kafka.clients.packed_batch import PackedBatchBuilder

pytestmark = needs_library


def builder(batch_bytes: int = 1 << 20, compression: int = 0) -> PackedBatchBuilder:
    options = SimpleNamespace(_batch_size=batch_bytes, _compression_type=compression)
    return PackedBatchBuilder(SimpleNamespace(_message_accumulator=options))  # type: ignore[arg-type]  # as much of it


def read(made: PackedBatchBuilder) -> list[Any]:
    made._set_producer_state(7, 1, 40)
    batch = MemoryRecords(bytes(made._build())).next_batch()
    assert batch is not None
    assert batch.validate_crc()
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (7, 1, 40)
    return list(batch)


# A number in a record takes one byte up to 63, two up to 8191, and three beyond.
RECORDS = [(b"k" * (i % 70), b"v" * (i * 3 % 9000)) for i in range(9000)]


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_records_are_read_as_they_were_packed(compression: int) -> None:
    made = builder(1 << 26, compression)
    size_bytes, n = made.extend(packed(RECORDS), 0)
    assert (n, made.record_count()) == (9000, 9000)
    assert size_bytes > sum(len(key) + len(value) for key, value in RECORDS)
    found = read(made)
    assert [(one.key, one.value) for one in found] == RECORDS
    assert [one.offset for one in found] == list(range(9000))
    assert all(one.headers == [] for one in found)
    assert len({one.timestamp for one in found}) == 1


def test_a_batch_is_full_when_a_record_no_longer_fits() -> None:
    # A head of 61 bytes, and each record 1 + 1 + 1 + 1 + 1 + 1 + 1 + 40 + 1 = 48: a size, attributes, two deltas,
    # the sizes of key and value, a key of one byte, the value, and no headers.
    records = packed([(b"k", b"v" * 40)] * 5)
    made = builder(61 + 2 * 48)
    assert made.extend(records, 1) == (96, 2)
    assert made.closed()
    assert len(read(made)) == 2
    assert builder(61 + 2 * 48 - 1).extend(records, 0) == (48, 1)


def test_a_record_larger_than_a_batch_has_one_of_its_own() -> None:
    made = builder(100)
    size_bytes, n = made.extend(packed([(b"k", b"v" * 1000), (b"k", b"w")]), 0)
    assert (n, size_bytes > 1000, made.closed()) == (1, True, True)
    assert [one.value for one in read(made)] == [b"v" * 1000]


def test_later_records_are_later_in_the_same_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made = builder()
    clock = [1000.0]
    monkeypatch.setattr("tickertape.stream.kafka.clients.packed_batch.time", lambda: clock[0])
    made.extend(packed([(b"a", b"1"), (b"b", b"2")]), 0)
    clock[0] = 1000.25
    made.extend(packed([(b"c", b"3")]), 0)
    # A single one, as `Producer.send` appends it.
    made.append(timestamp=1_000_500, key=b"d", value=b"4")
    found = read(made)
    assert [(one.key, one.offset, one.timestamp) for one in found] == [
        (b"a", 0, 1_000_000),
        (b"b", 1, 1_000_000),
        (b"c", 2, 1_000_250),
        (b"d", 3, 1_000_500),
    ]


def test_packed_records_are_a_sequence_of_pairs() -> None:
    records = packed(RECORDS[:5])
    assert list(records) == RECORDS[:5]
    assert records[3] == RECORDS[3]
    assert list(records[np.array([4, 1])]) == [RECORDS[4], RECORDS[1]]
    assert list(records[2:]) == RECORDS[2:5]

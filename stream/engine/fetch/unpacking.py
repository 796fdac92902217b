"""Fetched partitions, unpacked into blocks.

aiokafka unpacks each fetched partition in ``PartitionRecords``; ours yields one ConsumerRecord a block there, whose
value is the Block and whose offset is its last, so that fetching, positions and rebalancing stay aiokafka's. Consumers
opt in by their value deserializer, so any other consumer of the process is left as it is, but that MemoryRecords keeps
the bytes that it was given. What this leans on is held by tests/engine/fetch/test_transport_contract.py.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter
from struct import Struct
from typing import Any

import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.record import default_records
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.structs import ConsumerRecord, TopicPartition
from crc32c import crc32c

from tickertape.stream.engine.core.block import Block, Ints
from tickertape.stream.engine.core.columns import ints
from tickertape.stream.errors import BrokerError

_APPEND_TIME = 1
# Of a record batch: what its length leaves out, where its format is, what its CRC leaves out, and the least there is.
_LENGTH = Struct(">q i")
_MAGIC_AT, _MAGIC = 16, 2
_BEFORE_CRC_ENDS = 21
_HEAD_BYTES = 61
_KEEP_GIL = 0
_value = attrgetter("value")
_Records: Any = fetcher.PartitionRecords
_Fetched: Any = fetcher.MemoryRecords


class Blocks:
    """Marks a consumer: records of these topics come as blocks. Called with a value, as a deserializer, it returns it.

    Parameters
    ----------
    topics
        Those whose records come as blocks.
    records, size_bytes
        The most that a block holds; a single larger record still makes one.
    """

    def __init__(self, topics: frozenset[str], records: int, size_bytes: int) -> None:
        self.topics = topics
        self.records = records
        self.size_bytes = size_bytes

    def __call__(self, value: bytes | None) -> bytes | None:
        return value


class FetchedBytes(_Fetched):  # type: ignore[misc]  # aiokafka has no types
    """What was fetched of one partition, which aiokafka doesn't give away again."""

    def __init__(self, fetched: bytes) -> None:
        super().__init__(fetched)
        self._fetched = memoryview(fetched)

    def batches(self) -> Iterator[memoryview]:
        """Yield each record batch; one that the broker has cut off at the end is none."""
        fetched, first = self._fetched, 0
        while first + _LENGTH.size <= len(fetched):
            last = first + _LENGTH.size + _LENGTH.unpack_from(fetched, first)[1]
            if last > len(fetched):
                return
            yield fetched[first:last]
            first = last


class BlockRecords(_Records):  # type: ignore[misc]  # aiokafka has no types
    """One fetched partition, unpacked into blocks."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        limit: Blocks = self._value_deserializer
        # What was fetched bounds what is in it, as far as it isn't compressed.
        fits = self._records.size_in_bytes() <= limit.size_bytes
        run = _Run(self.next_fetch_offset)
        for batch, fetched in self._batches():
            block = self._block(batch, fetched)
            if batch.base_offset < self.next_fetch_offset:
                # A fetch begins with the whole batch that holds its offset.
                block = block.since(self.next_fetch_offset)
            if fits and batch.compression_type != batch.CODEC_NONE:
                fits = False
                run.size_bytes = sum(int(_sizes(part.values)[-1]) for part in run.parts)
            for part, size_bytes in _parts(block, None if fits else _sizes(block.values), limit):
                if run.records and not run.has_room(len(part), size_bytes, limit):
                    self.next_fetch_offset = run.end
                    yield self._record(run)
                    run = _Run(run.end)
                run.add(part, size_bytes)
            self.next_fetch_offset = run.end = batch.next_offset
        run.end = self.next_fetch_offset
        # Markers and aborted transactions at the end are read too, so a run of them alone is a block without values.
        if run.end > run.start:
            yield self._record(run)

    def _record(self, run: "_Run") -> ConsumerRecord:
        topic, partition = self._tp
        parts = run.parts or [_empty(topic, partition)]
        block = replace(Block.joined(parts), start=run.start, end=run.end)
        stamp_ms = int(block.appended_ms[-1]) if len(block) else -1
        return ConsumerRecord(topic, partition, run.end - 1, stamp_ms, _APPEND_TIME, None, block, None, -1, -1, ())

    def _block(self, batch: Any, fetched: memoryview) -> Block:
        """Return a batch's records."""
        topic, partition = self._tp
        first, end = batch.base_offset, batch.next_offset
        if batch.timestamp_type == _APPEND_TIME:
            # Mostly nothing but values is needed of the records, which need not live longer than one by one.
            with suppress(UnicodeDecodeError):
                values = list(map(_value, batch))
                if len(values) == end - first and all(values):
                    stamps_ms = np.full(len(values), batch.max_timestamp)
                    return Block(topic, partition, first, end, np.arange(first, end), values, stamps_ms)
        # There are nulls, with headers, or empty values; compaction has left holes; or each record has its own time.
        records = _records(fetched)
        values = list(map(_value, records))
        return Block(
            topic,
            partition,
            first,
            end,
            ints([record.offset for record in records]),
            values,
            ints([record.timestamp for record in records]),
            {at: tuple(records[at].headers) for at, value in enumerate(values) if value is None},
        )

    def _batches(self) -> Iterator[tuple[Any, memoryview]]:
        """Yield the batches with records to deliver; control batches and aborted transactions move the position."""
        for fetched in self._records.batches():
            if len(fetched) < _HEAD_BYTES or fetched[_MAGIC_AT] != _MAGIC:
                raise self._damaged()
            batch: Any = DefaultRecordBatch(fetched)
            # Theirs takes twenty times as long; without the GIL it would queue for it behind a fold.
            if self._check_crcs and crc32c(fetched[_BEFORE_CRC_ENDS:], 0, _KEEP_GIL) != batch.crc:
                raise self._damaged()
            if self._isolation_level == fetcher.READ_COMMITTED and batch.producer_id is not None:
                self._consume_aborted_up_to(batch.base_offset)
                if batch.is_control_batch and self._contains_abort_marker(batch):
                    self._aborted_producers.discard(batch.producer_id)
                if batch.is_transactional and batch.producer_id in self._aborted_producers:
                    self.next_fetch_offset = batch.next_offset
                    continue
            if batch.is_control_batch:
                self.next_fetch_offset = batch.next_offset
                continue
            yield batch, fetched

    def _damaged(self) -> BrokerError:
        # Where the batch ends it says itself, and of what it says nothing is sure.
        topic, partition = self._tp
        return BrokerError(
            f"{topic}, partition {partition}: the record batch that holds offset {self.next_fetch_offset} is damaged "
            "(or older than Kafka 0.11): have Kafka mend its log from a replica, or delete it up to the next batch by "
            "kafka-delete-records: what is lost by that is counted, and results that lack it are marked"
        )


class _Lenient(bytearray):
    """Bytes that are read as text whatever they are."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Lenient(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


def _records(fetched: memoryview) -> list[Any]:
    """Return a batch's records; a header's key that isn't UTF-8, which some clients send, is none that we know."""
    try:
        return list(DefaultRecordBatch(fetched))
    except UnicodeDecodeError:
        batch: Any = default_records._DefaultRecordBatchPy(fetched)
        batch._maybe_uncompress()
        batch._buffer = _Lenient(batch._buffer)
        return list(batch)


def _empty(topic: str, partition: int) -> Block:
    none = np.empty(0, np.int64)
    return Block(topic, partition, 0, 0, none, [], none)


def _sizes(values: list[bytes | None]) -> Ints:
    """Return the running total of values' sizes, from 0."""
    return np.cumsum([0, *(0 if value is None else len(value) for value in values)])


def _parts(block: Block, sizes: Ints | None, limit: Blocks) -> Iterator[tuple[Block, int]]:
    """Yield parts that fit in a block each, and their bytes; a record that is too large is a part of its own."""
    first, n = 0, len(block)
    if sizes is None and n <= limit.records:
        yield block, 0
        return
    while first < n:
        last, size_bytes = min(n, first + limit.records), 0
        if sizes is not None:
            fitting = int(np.searchsorted(sizes, sizes[first] + limit.size_bytes, side="right")) - 1
            last = max(first + 1, min(last, fitting))
            size_bytes = int(sizes[last] - sizes[first])
        yield block.cut(first, last, int(block.offsets[first]), int(block.offsets[last - 1]) + 1), size_bytes
        first = last


class _Run:
    """A block as it grows."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.records = self.size_bytes = 0
        self.parts: list[Block] = []

    def has_room(self, records: int, size_bytes: int, limit: Blocks) -> bool:
        return self.records + records <= limit.records and self.size_bytes + size_bytes <= limit.size_bytes

    def add(self, part: Block, size_bytes: int) -> None:
        self.parts.append(part)
        self.records += len(part)
        self.size_bytes += size_bytes
        self.end = part.end


def _partition_records(
    tp: TopicPartition,
    records: Any,
    aborted_transactions: Any,
    fetch_offset: int,
    key_deserializer: Any,
    value_deserializer: Any,
    check_crcs: bool,
    isolation_level: int,
) -> Any:
    """Make what aiokafka makes, unless the consumer asked for blocks of this topic."""
    blocks = isinstance(value_deserializer, Blocks) and tp.topic in value_deserializer.topics
    return (BlockRecords if blocks else _Records)(
        tp,
        records,
        aborted_transactions,
        fetch_offset,
        key_deserializer,
        value_deserializer,
        check_crcs,
        isolation_level,
    )


fetcher.MemoryRecords = FetchedBytes
fetcher.PartitionRecords = _partition_records

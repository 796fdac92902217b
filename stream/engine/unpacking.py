"""Fetched partitions, unpacked into blocks.

aiokafka unpacks each fetched partition in ``PartitionRecords``; ours yields one ConsumerRecord a block there, whose
value is the Block and whose offset is its last, so that fetching, positions and rebalancing stay aiokafka's. Consumers
opt in by their value deserializer, so any other consumer of the process is left as it is. What this leans on is held by
tests/engine/test_transport_contract.py.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import numpy as np
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import ConsumerRecord, TopicPartition

from stream.engine.block import Block, Headers, Ints

_APPEND_TIME = 1
_value = attrgetter("value")
_offset = attrgetter("offset")
_timestamp = attrgetter("timestamp")
_Records: Any = fetcher.PartitionRecords


class Blocks:
    """Marks a consumer: records of these topics come as blocks. Called with a value, as a deserializer, it returns it.

    Parameters
    ----------
    topics
        Those whose records come as blocks.
    records, size_bytes
        The most that a block holds; a single larger record still makes one.
    gather_seconds
        Between an answer with records and the next fetch; what comes meanwhile comes together.
    """

    def __init__(self, topics: frozenset[str], records: int, size_bytes: int, *, gather_seconds: float = 0.0) -> None:
        self.topics = topics
        self.records = records
        self.size_bytes = size_bytes
        self.gather_seconds = gather_seconds

    def __call__(self, value: bytes | None) -> bytes | None:
        return value


class BlockRecords(_Records):  # type: ignore[misc]  # aiokafka has no types
    """One fetched partition, unpacked into blocks."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        limit: Blocks = self._value_deserializer
        # What was fetched bounds what is in it, as far as it isn't compressed.
        fits = self._records.size_in_bytes() <= limit.size_bytes
        run = _Run(self.next_fetch_offset)
        for batch in self._batches():
            records = list(batch)
            if batch.base_offset < self.next_fetch_offset:
                # A fetch begins with the whole batch that holds its offset.
                records = [record for record in records if record.offset >= self.next_fetch_offset]
            if fits and batch.compression_type != batch.CODEC_NONE:
                fits = False
                run.size_bytes = int(_sizes(run.values)[-1])
            sizes = None if fits else _sizes(list(map(_value, records)))
            for first, last, size_bytes in _chunks(len(records), sizes, limit):
                if run.values and not run.has_room(last - first, size_bytes, limit):
                    self.next_fetch_offset = run.end
                    yield self._record(run)
                    run = _Run(run.end)
                run.add(batch, records[first:last], size_bytes)
            self.next_fetch_offset = run.end = batch.next_offset
        run.end = self.next_fetch_offset
        # Markers and aborted transactions at the end are read too, so a run of them alone is a block without values.
        if run.end > run.start:
            yield self._record(run)

    def _record(self, run: "_Run") -> ConsumerRecord:
        topic, partition = self._tp
        block = run.block(topic, partition)
        stamp_ms = int(block.appended_ms[-1]) if len(block) else -1
        return ConsumerRecord(topic, partition, run.end - 1, stamp_ms, _APPEND_TIME, None, block, None, -1, -1, ())

    def _batches(self) -> Iterator[Any]:
        """Yield the batches with records to deliver; control batches and aborted transactions move the position."""
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(
                    f"{self._tp}: a record batch at offset {batch.base_offset} has a wrong CRC"
                )
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
            yield batch


def _sizes(values: list[bytes | None]) -> Ints:
    """Return the running total of values' sizes, from 0."""
    return np.cumsum([0, *(0 if value is None else len(value) for value in values)])


def _chunks(n: int, sizes: Ints | None, limit: Blocks) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, bytes) of runs that fit in a block each; a record that is too large is a run of its own."""
    first = 0
    while first < n:
        last = min(n, first + limit.records)
        if sizes is None:
            yield first, last, 0
        else:
            fitting = int(np.searchsorted(sizes, sizes[first] + limit.size_bytes, side="right")) - 1
            last = max(first + 1, min(last, fitting))
            yield first, last, int(sizes[last] - sizes[first])
        first = last


class _Run:
    """A block as it grows."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.size_bytes = 0
        self.values: list[bytes | None] = []
        self.offsets: list[Ints] = []
        self.stamps_ms: list[Ints] = []
        self.headers: dict[int, Headers] = {}

    def has_room(self, records: int, size_bytes: int, limit: Blocks) -> bool:
        return len(self.values) + records <= limit.records and self.size_bytes + size_bytes <= limit.size_bytes

    def add(self, batch: Any, records: list[Any], size_bytes: int) -> None:
        n, first, last = len(records), records[0].offset, records[-1].offset
        values = list(map(_value, records))
        if None in values:
            at = len(self.values)
            self.headers |= {at + i: tuple(records[i].headers) for i, value in enumerate(values) if value is None}
        self.values += values
        self.size_bytes += size_bytes
        # Compaction leaves holes inside a batch.
        dense = last - first + 1 == n
        self.offsets.append(np.arange(first, last + 1) if dense else np.fromiter(map(_offset, records), np.int64, n))
        append_time = batch.timestamp_type == _APPEND_TIME
        self.stamps_ms.append(
            np.full(n, batch.max_timestamp) if append_time else np.fromiter(map(_timestamp, records), np.int64, n)
        )
        self.end = last + 1

    def block(self, topic: str, partition: int) -> Block:
        none = [np.empty(0, np.int64)]
        return Block(
            topic,
            partition,
            self.start,
            self.end,
            np.concatenate(self.offsets or none),
            self.values,
            np.concatenate(self.stamps_ms or none),
            self.headers,
        )


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


fetcher.PartitionRecords = _partition_records

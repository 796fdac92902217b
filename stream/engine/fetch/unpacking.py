"""Unpacks fetched partitions into blocks.

aiokafka unpacks each fetched partition in ``PartitionRecords``. The class here yields one ConsumerRecord for each
block: its value is the Block, and its offset is the block's last. So fetching, positions and rebalancing remain
aiokafka's. A consumer opts in by its value deserializer. For any other consumer of the process two things change:
answers are received once (`answers`), and
MemoryRecords keeps the bytes that it was given. This module relies on private parts of aiokafka, which
tests/engine/fetch/test_transport_contract.py checks.
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

from tickertape.schemas import bundle
from tickertape.stream.bundles.unpacking import events_in
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.engine.core.columns import Ints, ints
from tickertape.stream.engine.core.values import sizes_bytes
from tickertape.stream.engine.fetch.splitting import Lenient, split
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients import answers

_APPEND_TIME = 1
# The layout of a record batch: the head that its length doesn't count, the place of its format's version, the bytes
# that its CRC doesn't cover, and its least size.
_LENGTH = Struct(">q i")
_MAGIC_AT, _MAGIC = 16, 2
_BEFORE_CRC_ENDS = 21
_HEAD_BYTES = 61
_KEEP_GIL = 0
#: How many times as many events a block may have as records. With fewer, a fetch of bundles would be more blocks than
#: Faust keeps, and Faust then rests for a second.
EVENTS = 4
_value, _headers = attrgetter("value"), attrgetter("headers")
_Records: Any = fetcher.PartitionRecords
_Fetched: Any = fetcher.MemoryRecords


class Blocks:
    """Marks a consumer that reads some topics as blocks. As its value deserializer, it returns each value unchanged.

    Parameters
    ----------
    topics
        The topics that are read as blocks.
    records, size_bytes
        The most records and bytes of values in a block. A single larger record still makes a block. Events of bundles
        cost less than records of their own, so a block may have `EVENTS` times as many.
    """

    def __init__(self, topics: frozenset[str], records: int, size_bytes: int) -> None:
        self.topics = topics
        self.records = records
        self.events = EVENTS * records
        self.size_bytes = size_bytes

    def __call__(self, value: bytes | None) -> bytes | None:
        return value


class FetchedBytes:
    """The bytes fetched of one partition. aiokafka's own class copies them, and doesn't give access to them.

    Parameters
    ----------
    fetched
        The bytes, which may be part of a whole answer.
    """

    def __init__(self, fetched: bytes | memoryview) -> None:
        self.fetched = np.frombuffer(fetched, np.uint8)
        self._own: Any = None

    def size_in_bytes(self) -> int:
        return len(self.fetched)

    def has_next(self) -> bool:
        """Return whether there is a whole batch, as aiokafka asks before it makes `BlockRecords`, or its own."""
        return next(self.batches(), None) is not None if self._own is None else bool(self._own.has_next())

    def next_batch(self) -> Any:
        """Return the next batch, for consumers that read records one by one."""
        self._own = self._own or _Fetched(self.fetched.tobytes())
        return self._own.next_batch()

    def batches(self) -> Iterator[slice]:
        """Yield where each record batch is, except one that the broker has cut off at the end."""
        fetched, first = self.fetched.data, 0
        while first + _LENGTH.size <= len(fetched):
            last = first + _LENGTH.size + _LENGTH.unpack_from(fetched, first)[1]
            if last > len(fetched):
                return
            yield slice(first, last)
            first = last


class BlockRecords(_Records):  # type: ignore[misc]  # aiokafka has no types
    """One fetched partition, unpacked into blocks."""

    next_fetch_offset: int

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        limit: Blocks = self._value_deserializer
        # Without compression the size of the values is at most the size of what was fetched.
        fits = self._records.size_in_bytes() <= limit.size_bytes
        run = _Run(self.next_fetch_offset)
        for batch, where in self._batches():
            block = self._block(batch, where)
            if batch.base_offset < self.next_fetch_offset:
                # A fetch begins with the whole batch that holds its offset.
                block = block.since(self.next_fetch_offset)
            if fits and batch.compression_type != batch.CODEC_NONE:
                fits = False
                run.size_bytes = sum(int(sizes_bytes(part.values).sum()) for part in run.parts)
            for part, size_bytes in _parts(block, None if fits else sizes_bytes(block.values), limit):
                if run.records and not run.has_room(part, size_bytes, limit):
                    self.next_fetch_offset = run.end
                    yield self._record(run)
                    run = _Run(run.end)
                run.add(part, size_bytes)
            self.next_fetch_offset = run.end = batch.next_offset
        run.end = self.next_fetch_offset
        # Markers and aborted transactions at the end are part of the block; if there is nothing else, it has no values.
        if run.end > run.start:
            yield self._record(run)

    def _record(self, run: "_Run") -> ConsumerRecord:
        topic, partition = self._tp
        parts = run.parts or [_empty(topic, partition)]
        block = replace(Block.joined(parts), start=run.start, end=run.end)
        stamp_ms = int(block.appended_ms[-1]) if len(block) else -1
        return ConsumerRecord(topic, partition, run.end - 1, stamp_ms, _APPEND_TIME, None, block, None, -1, -1, ())

    def _block(self, batch: Any, where: slice) -> Block:
        """Return a batch's records as a block."""
        topic, partition = self._tp
        first, end = batch.base_offset, batch.next_offset
        if (found := split(batch, self._records.fetched, where)) is not None:
            return Block(topic, partition, first, end, *found)
        if batch.timestamp_type == _APPEND_TIME:
            # In most batches only the values are needed.
            with suppress(UnicodeDecodeError):
                records = list(batch)
                values = list(map(_value, records))
                if len(values) == end - first and all(values):
                    stamps_ms = np.full(len(values), batch.max_timestamp)
                    offsets, bundles = np.arange(first, end), _bundles(records)
                    return Block(topic, partition, first, end, offsets, values, stamps_ms, bundles=bundles)
        # There are null values, whose headers are needed, or empty ones; or compaction has left holes; or each record
        # has its own timestamp.
        records = _records(self._records.fetched[where].data)
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
            _bundles(records),
        )

    def _batches(self) -> Iterator[tuple[Any, slice]]:
        """Yield the batches with records to deliver. Control batches and aborted records only move the position."""
        for where in self._records.batches():
            fetched = self._records.fetched[where].data
            if len(fetched) < _HEAD_BYTES or fetched[_MAGIC_AT] != _MAGIC:
                raise self._damaged()
            batch: Any = DefaultRecordBatch(fetched)
            # aiokafka's own check takes twenty times as long. This one keeps the GIL: to get it back it would have to
            # wait for a fold.
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
            yield batch, where

    def _damaged(self) -> BrokerError:
        # The batch's end is known only from the batch itself, which can't be trusted.
        topic, partition = self._tp
        return BrokerError(
            f"{topic}, partition {partition}: the record batch that holds offset {self.next_fetch_offset} is damaged "
            "(or older than Kafka 0.11): let Kafka restore the log from a replica, or delete records up to the next "
            "batch with kafka-delete-records; lost records are counted, and results without them are marked incomplete"
        )


def _records(fetched: memoryview) -> list[Any]:
    """Return a batch's records. Some clients send header keys that aren't UTF-8: these match none of our keys."""
    try:
        return list(DefaultRecordBatch(fetched))
    except UnicodeDecodeError:
        batch: Any = default_records._DefaultRecordBatchPy(fetched)
        batch._maybe_uncompress()
        batch._buffer = Lenient(batch._buffer)
        return list(batch)


def _bundles(records: list[Any]) -> dict[int, Headers]:
    """Return the headers of the records that say that they are bundles."""
    if not any(map(_headers, records)):
        return {}
    return {
        at: tuple(headers)
        for at, headers in enumerate(map(_headers, records))
        if headers and records[at].value is not None and any(name == bundle.HEADER for name, _ in headers)
    }


def _empty(topic: str, partition: int) -> Block:
    none = np.empty(0, np.int64)
    return Block(topic, partition, 0, 0, none, [], none)


def _parts(block: Block, sizes: Ints | None, limit: Blocks) -> Iterator[tuple[Block, int]]:
    """Yield parts that each fit in a block, and their bytes. A record that is too large is a part of its own.

    ``sizes`` are those of the values in bytes, shape (n,); None if they don't matter.
    """
    first, n = 0, len(block)
    # By place: how many events the records before it hold, and the bytes of their values.
    events: Ints | None = None
    if block.bundles:
        counts = np.ones(n, np.int64)
        counts[list(block.bundles)] = [events_in(headers) for headers in block.bundles.values()]
        events = np.cumsum([0, *counts])
    elif sizes is None and n <= limit.records:
        yield block, 0
        return
    ends = None if sizes is None else np.cumsum([0, *sizes])
    while first < n:
        last, size_bytes = min(n, first + limit.records), 0
        if events is not None:
            last = _fitting(events, first, last, limit.events)
        if ends is not None:
            last = _fitting(ends, first, last, limit.size_bytes)
            size_bytes = int(ends[last] - ends[first])
        yield block.cut(first, last, int(block.offsets[first]), int(block.offsets[last - 1]) + 1), size_bytes
        first = last


def _fitting(ends: Ints, first: int, last: int, most: int) -> int:
    """Return the last place up to which the sum of what comes from the first one on is at most so much."""
    return max(first + 1, min(last, int(np.searchsorted(ends, ends[first] + most, side="right")) - 1))


class _Run:
    """A block under construction."""

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.records = self.events = self.size_bytes = 0
        self.parts: list[Block] = []

    def has_room(self, part: Block, size_bytes: int, limit: Blocks) -> bool:
        return (
            self.records + len(part) <= limit.records
            and self.events + part.events <= limit.events
            and self.size_bytes + size_bytes <= limit.size_bytes
        )

    def add(self, part: Block, size_bytes: int) -> None:
        self.parts.append(part)
        self.records += len(part)
        self.events += part.events
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
    """Return `BlockRecords` if the consumer reads this topic as blocks, and otherwise what aiokafka makes."""
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


answers.install()
fetcher.MemoryRecords = FetchedBytes
fetcher.PartitionRecords = _partition_records

"""The Faust transport that delivers blocks: ``blocks://host:port``.

aiokafka unpacks each fetched partition in ``PartitionRecords``; ours yields one ConsumerRecord a block there, whose
value is the Block and whose offset is its last, so that fetching, positions and rebalancing stay aiokafka's. Consumers
opt in by their value deserializer, so any other consumer of the process is left as it is. What this leans on is held by
tests/engine/test_transport_contract.py.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from operator import attrgetter
from time import monotonic, time
from typing import Any, NamedTuple, Protocol

import numpy as np
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.errors import (
    CommitFailedError,
    CorruptRecordException,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from msgspec import Struct
from msgspec.structs import replace

from schemas.topics import SLICES
from stream.engine.block import Block, Headers, Ints
from stream.engine.lookout import look_out
from stream.kafka.patience import patient
from stream.metrics import REBALANCES

log = logging.getLogger(__name__)

# So long a broker may have forgotten what is committed.
FORGETFUL_SECONDS = 4.0
# One fetch is under way at a time. With blocks that wait to be read it asks for the other partitions alone, and until
# one of these has something, or this is over, nothing comes of any; Faust's is a second and a half.
FETCH_WAIT_MS = 50
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
    """

    def __init__(self, topics: frozenset[str], records: int, size_bytes: int) -> None:
        self.topics = topics
        self.records = records
        self.size_bytes = size_bytes

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


class Position(Struct, frozen=True):
    """Where a partition is to be read from.

    Attributes
    ----------
    begin, end
        The log's first offset, and the one that its next record will have.
    committed
        The group's committed offset, or None.
    metadata
        The commit's.
    partitions
        How many partitions the topic has.
    """

    begin: int
    end: int
    committed: int | None
    metadata: str
    partitions: int

    def valid(self, tp: TP) -> "Position":
        """Return it without a commit that speaks of another log: one past the end, so the topic was created anew."""
        if self.committed is None or self.committed <= self.end:
            return self
        log.warning(
            "%s, partition %d: the commit is at offset %d and the log ends at %d: the topic was created anew, "
            "it is read from its beginning",
            tp.topic,
            tp.partition,
            self.committed,
            self.end,
        )
        return replace(self, committed=None, metadata="")


class LogEnd(NamedTuple):
    """Where a log ended when the broker last said.

    Attributes
    ----------
    offset
        The one that its next record gets, transactions that are open aside.
    age_seconds
        How long ago it said so: a tenth of a second at most, unless it is away.
    """

    offset: int
    age_seconds: float


class Custodian(Protocol):
    """Who keeps the state of the partitions that come as blocks; the app has one as ``app.custodian``."""

    blocks: Blocks

    async def load(self, positions: Mapping[TP, Position]) -> None:
        """Fetch what helps to take up these partitions; `restore` follows, unless they are taken away meanwhile."""

    def restore(self, positions: Mapping[TP, Position]) -> Mapping[TP, int]:
        """Take up exactly these partitions, forget any others, and say from which offset to read each."""

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        """Publish what is open, wait for the broker, and return (offset, metadata) to commit by partition."""

    def committed(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        """Hear that a checkpoint is committed."""

    def refused(self, error: Exception) -> None:
        """Hear that a commit was fenced: these partitions have, or are about to have, another owner."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust's is untyped here
    _lookout: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        await super().on_start()
        self._lookout = asyncio.create_task(look_out(self._ensure_consumer()))

    async def on_thread_stop(self) -> None:
        if self._lookout is not None:
            self._lookout.cancel()
        await super().on_thread_stop()

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._value_deserializer = self.app.custodian.blocks
        # A producer with transactions may feed us; what it aborted never happened.
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        patient(consumer._client)
        return consumer

    async def positions(self, tps: list[TopicPartition], least: Mapping[TP, int]) -> dict[TP, Position]:
        """Ask the broker where partitions begin and what the group has committed there.

        Parameters
        ----------
        tps
            Which.
        least
            Offsets that are known to be committed.

        Notes
        -----
        A broker that has hung answers for a second or two as if the group had committed nothing (seen with Kafka 4).
        Where it says less than is known, or nothing although there are frames, it is asked again for a while.
        """
        consumer = self._ensure_consumer()
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        # Every shard has frames once workers have run.
        shards = [TopicPartition(SLICES.name, 0)] if SLICES.name in self.app.custodian.blocks.topics else []
        begun = any((await consumer.end_offsets(shards)).values())
        until = monotonic() + FORGETFUL_SECONDS
        while True:
            commits = await consumer._coordinator.fetch_committed_offsets(tps)
            less = any(tp not in commits or commits[tp].offset < least[TP(*tp)] for tp in tps if TP(*tp) in least)
            if not (less or (begun and not commits)) or monotonic() > until:
                break
            await asyncio.sleep(0.2)
        return {
            TP(tp.topic, tp.partition): Position(
                begin=begins[tp],
                end=ends[tp],
                committed=commits[tp].offset if tp in commits and commits[tp].offset >= 0 else None,
                metadata=commits[tp].metadata if tp in commits else "",
                partitions=len(consumer.partitions_for_topic(tp.topic) or ()),
            )
            for tp in tps
        }

    def seek_all(self, offsets: Mapping[TP, int]) -> None:
        """Seek in the consumer's own thread: from another, Faust's `seek` takes a fetch away while it is unpacked."""
        for tp, offset in offsets.items():
            self.seek(tp, offset)


class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust's is untyped here
    """Reads blocks, and commits for their custodian; plain topics stay Faust's business.

    Topics that come as blocks are to be declared with ``acks=False``, so that Faust never commits them.
    """

    #: How many times partitions have been taken away.
    _revocations = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What this worker has committed; whoever commits after it commits no less.
        self._least: dict[TP, int] = {}

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _has_blocks(self, tp: TP) -> bool:
        return tp.topic in self.app.custodian.blocks.topics

    async def on_task_error(self, exc: BaseException) -> None:
        """Commit nothing: Faust would, of what is half done and by a thread that may have ended."""

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        await self._commit_blocks()
        return bool(await super().force_commit(topics, start_new_transaction))

    async def _commit_blocks(self) -> None:
        offsets = await self.app.custodian.checkpoint()
        mine = self.assignment()
        offsets = {tp: commit for tp, commit in offsets.items() if tp in mine}
        if not offsets:
            return
        commit = {TopicPartition(*tp): OffsetAndMetadata(offset, data) for tp, (offset, data) in offsets.items()}
        try:
            await self._thread.call_thread(self._thread._ensure_consumer().commit, commit)
        except _STALE as error:
            # Another owner has these partitions, or a rebalance is under way: what was published is harmless, and the
            # new owner reads again from the last commit.
            self.app.custodian.refused(error)
            return
        self._least |= {tp: offset for tp, (offset, _) in offsets.items()}
        now = monotonic()
        self._thread.tp_last_committed_at.update(dict.fromkeys(offsets, now))
        self.app.custodian.committed(offsets)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        await super().on_partitions_revoked(revoked)
        self._revocations += 1
        REBALANCES.inc()
        # All that stays is restored when it is assigned again; a worker that gets nothing back is not told.
        self.app.custodian.restore({})

    async def perform_seek(self) -> None:
        """Restore state and positions as one: Faust seeks here, before a block can flow."""
        await super().perform_seek()
        tps = [TopicPartition(*tp) for tp in self.assignment() if self._has_blocks(tp)]
        positions = await self._thread.call_thread(self._thread.positions, tps, self._least) if tps else {}
        revocations = self._revocations
        await self.app.custodian.load(positions)
        if self._revocations != revocations:
            # They may be another's by now; what is ours is restored when it is assigned.
            return
        offsets = self.app.custodian.restore(positions)
        await self._thread.call_thread(self._thread.seek_all, offsets)
        self._read_offset.update({tp: offset or None for tp, offset in offsets.items()})

    def log_end(self, tp: TP) -> LogEnd | None:
        """Return the end of a partition's log as last heard of; None where that is not known."""
        consumer, part = self._thread._consumer, TopicPartition(*tp)
        if consumer is None or part not in consumer.assignment():
            return None
        offset, heard_ms = consumer.last_stable_offset(part), consumer.last_poll_timestamp(part)
        if offset is None or heard_ms is None:
            return None
        return LogEnd(offset, max(0.0, time() - heard_ms / 1000))


_STALE = (CommitFailedError, IllegalGenerationError, IllegalStateError, RebalanceInProgressError, UnknownMemberIdError)


class Transport(driver.Transport):  # type: ignore[misc]  # Faust's is untyped here
    Consumer = Consumer

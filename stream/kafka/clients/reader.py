"""Read whole topics: every partition, including ones added meanwhile, without a group and without commits."""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import ConsumerRecord, TopicPartition

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.access.rights import no_topic, refused, unseen
from tickertape.stream.kafka.clients.consumer import connected_consumer

# New partitions are found within this time. Kafka's default is five minutes.
METADATA_MS = 2000
APPEAR_SECONDS = 10.0

Ends = dict[TopicPartition, int]


class Reader:
    """Reads topics from their beginning or from now on.

    Parameters
    ----------
    connection
        The connection settings.
    topics
        The names of the topics.
    from_beginning
        True reads all records, False only those that are appended from now on.
    **options
        Further options of aiokafka's consumer.

    Examples
    --------
    >>> async with Reader(Connection("localhost:9092"), ["bars"], from_beginning=True) as reader:  # doctest: +SKIP
    ...     records = await reader.read()
    """

    def __init__(self, connection: Connection, topics: Sequence[str], *, from_beginning: bool, **options: Any) -> None:
        self._options = options
        self._connection = connection
        self._topics = topics
        self._from_beginning = from_beginning
        self._looked_at = 0.0

    async def __aenter__(self) -> Self:
        self._consumer = await connected_consumer(
            self._connection,
            # A foreign producer may use transactions. Records of aborted ones must not be read.
            isolation_level="read_committed",
            max_partition_fetch_bytes=2 << 20,
            metadata_max_age_ms=METADATA_MS,
            **self._options,
        )
        try:
            await self._begin()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def read(self, wait_seconds: float = 0.25) -> list[ConsumerRecord]:
        """Return the next records, in order within each partition; empty if there are none within the time.

        Raises
        ------
        BrokerError
            The right to read is missing, or a record has a header whose key isn't UTF-8. Workers can read such a
            record, but aiokafka by itself can't.
        """
        if time.monotonic() - self._looked_at > METADATA_MS / 1000:
            await self._take_new_partitions()
        try:
            found = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000))
        except TopicAuthorizationFailedError as error:
            raise refused(self._connection, error, f"Read on topic {error.args[0]}") from error
        except UnicodeDecodeError as error:
            raise BrokerError(
                f"{', '.join(self._topics)}: a record has a header whose key isn't UTF-8, and this reader can't skip "
                "it: start after it, or use another client"
            ) from error
        return [record for records in found.values() for record in records]

    async def skip(self, offsets: Ends) -> None:
        """Continue from these offsets, or from the log's first offset if that is later."""
        begins = await self._consumer.beginning_offsets(list(offsets))
        for tp, offset in offsets.items():
            self._consumer.seek(tp, max(offset, begins[tp]))

    async def positions(self) -> Ends:
        """Return the next offset to read, by partition."""
        return {tp: await self._consumer.position(tp) for tp in self._consumer.assignment()}

    async def offsets_at(self, time_ms: int) -> Ends:
        """Return the first offset appended at a time or later, by partition; the log's end if there is none."""
        parts = self._parts(self._topics)
        found = await self._consumer.offsets_for_times({tp: max(time_ms, 0) for tp in parts})
        ends = await self.ends(parts)
        return {tp: ends[tp] if found.get(tp) is None else found[tp].offset for tp in parts}

    async def before(self, offsets: Ends, by_ms: int) -> Ends:
        """Return earlier offsets, by partition: the first record appended at most `by_ms` before the given offset's."""
        begins = await self._consumer.beginning_offsets(list(offsets))
        found: Ends = {}
        for tp, offset in offsets.items():
            self._consumer.seek(tp, max(offset - 1, begins[tp]))
            record = await self._next(tp)
            if record is None or record.offset >= offset:
                found[tp] = offset
                continue
            earlier = (await self._consumer.offsets_for_times({tp: max(record.timestamp - by_ms, 0)}))[tp]
            found[tp] = min(offset, earlier.offset if earlier else offset)
        return found

    async def _next(self, tp: TopicPartition) -> ConsumerRecord | None:
        found = await self._consumer.getmany(tp, timeout_ms=1000, max_records=1)
        return next(iter(found.get(tp, ())), None)

    async def ends(self, parts: Sequence[TopicPartition] | None = None) -> Ends:
        """Return the end of the log of each of these partitions; by default of all partitions that are read."""
        try:
            return dict(await self._consumer.end_offsets(parts or self._parts(self._topics)))
        except KafkaError as error:
            raise refused(self._connection, error) from error

    async def begins(self) -> Ends:
        """Return the first offset that the log of each partition that is read still holds."""
        return dict(await self._consumer.beginning_offsets(self._parts(self._topics)))

    async def has_read(self, ends: Ends) -> bool:
        """Return whether all records before these ends have been read."""
        return all([await self._consumer.position(tp) >= end for tp, end in ends.items()])

    async def _begin(self) -> None:
        consumer = self._consumer
        there = await consumer.topics()
        for topic in self._topics:
            if topic not in there:
                raise await unseen(self._connection, consumer._client, topic) or no_topic(self._connection, topic)
        # aiokafka requests a topic's metadata once one of its partitions is assigned.
        consumer.assign([TopicPartition(topic, 0) for topic in self._topics])
        until = time.monotonic() + APPEAR_SECONDS
        while not all(consumer.partitions_for_topic(topic) for topic in self._topics):
            if time.monotonic() > until:
                raise BrokerError(
                    f"Kafka at {self._connection.broker} returns no metadata of the topics: check the broker's log"
                )
            await asyncio.sleep(0.01)
        consumer.assign(self._parts(self._topics))
        await (consumer.seek_to_beginning if self._from_beginning else consumer.seek_to_end)()
        # Seeking is lazy. Without a position, records that are appended in the meantime would be skipped.
        for tp in consumer.assignment():
            await consumer.position(tp)

    def _parts(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]

    async def _take_new_partitions(self) -> None:
        self._looked_at = time.monotonic()
        known = self._consumer.assignment()
        parts = self._parts(self._topics)
        if set(parts) <= known:
            return
        positions = {tp: await self._consumer.position(tp) for tp in known}
        # aiokafka drops all positions with each assignment. New partitions are read from their beginning.
        self._consumer.assign(parts)
        for tp, offset in positions.items():
            self._consumer.seek(tp, offset)
        await self._consumer.seek_to_beginning(*(set(parts) - known))

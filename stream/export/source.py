"""Read results as a member of a consumer group, whose commits remember what has been written."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import TopicPartition

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.kafka.access.rights import unread
from tickertape.stream.kafka.clients.consumer import connected_consumer
from tickertape.stream.kafka.clients.reader import METADATA_MS
from tickertape.stream.telemetry import metrics

log = logging.getLogger(__name__)

_WAIT_MS = 200
_FETCH_BYTES, _PARTITION_BYTES = 8 << 20, 1 << 20
_BLOCK_RECORDS, _BLOCK_BYTES = 2048, 1 << 20
# While a database is away nothing is read for as long as it takes, and the group must not mind.
_PATIENCE_MS = 7 * 24 * 3600 * 1000


class Source(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Reads topics from where the group's commits say; without commits, from their beginning.

    Parameters
    ----------
    settings
        The connection settings, and ``session_seconds``.
    group
        The consumer group. Its members share the partitions.
    topics
        The topics, which exist.

    Attributes
    ----------
    generation
        Rises when partitions are given away. What was read before, and isn't committed, is read again by their owner.
    """

    def __init__(self, settings: Settings, group: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._group = group
        self._topics = topics
        self._unchecked: set[TopicPartition] = set()
        self.generation = 0

    async def __aenter__(self) -> Self:
        session_ms = int(self._settings.session_seconds * 1000)
        self._consumer = await connected_consumer(
            self._settings,
            client_id="tickertape-export",
            group_id=self._group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=max(100, session_ms // 8),
            max_poll_interval_ms=_PATIENCE_MS,
            rebalance_timeout_ms=session_ms,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            metadata_max_age_ms=METADATA_MS,
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_PARTITION_BYTES,
            value_deserializer=Blocks(frozenset(self._topics), _BLOCK_RECORDS, _BLOCK_BYTES),
        )
        self._consumer.subscribe(self._topics, listener=self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self.generation += 1
        for tp in revoked:
            with suppress(KeyError):
                metrics.EXPORT_LAG.remove(tp.topic, str(tp.partition))

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._unchecked |= set(assigned)

    async def read(self) -> list[Block]:
        """Return the next blocks, in order within each partition; empty if there are none for a moment.

        They are of the present `generation`, which may be a later one than before the call.

        Raises
        ------
        BrokerError
            A right is missing, or Kafka refuses.
        """
        try:
            if self._unchecked:
                await self._tell_what_is_gone()
            found = await self._consumer.getmany(timeout_ms=_WAIT_MS)
        except KafkaError as error:
            raise unread(self._settings, error, self._group) from error
        return [record.value for records in found.values() for record in records]

    async def commit(self, position: Mapping[TopicPartition, int]) -> None:
        """Remember that all before a position has been written. Without effect if the partitions have another owner.

        Raises
        ------
        BrokerError
            Kafka refuses.
        """
        try:
            await self._consumer.commit(dict(position))
        except (CommitFailedError, IllegalStateError):
            log.info("another process has taken over: it writes again what isn't committed, which changes nothing")
            return
        except KafkaError as error:
            raise unread(self._settings, error, self._group) from error
        for tp, offset in position.items():
            if (end := self._consumer.highwater(tp)) is not None:
                metrics.EXPORT_LAG.labels(tp.topic, str(tp.partition)).set(max(0, end - offset))

    async def ends(self) -> dict[TopicPartition, int]:
        """Return the present end of each partition of the topics.

        Raises
        ------
        BrokerError
            Kafka refuses.
        """
        try:
            parts = [
                TopicPartition(topic, number)
                for topic in self._topics
                for number in sorted(self._consumer.partitions_for_topic(topic) or ())
            ]
            return dict(await self._consumer.end_offsets(parts))
        except KafkaError as error:
            raise unread(self._settings, error, self._group) from error

    async def left(self, ends: Mapping[TopicPartition, int]) -> int:
        """Return how many records before these offsets are still to be written, by this process or another one.

        Raises
        ------
        BrokerError
            Kafka refuses.
        """
        try:
            begins = await self._consumer.beginning_offsets(list(ends))
            committed = {tp: await self._consumer.committed(tp) for tp in ends}
        except KafkaError as error:
            raise unread(self._settings, error, self._group) from error
        return sum(max(0, end - max(begins[tp], committed[tp] or 0)) for tp, end in ends.items())

    async def _tell_what_is_gone(self) -> None:
        """Count what was deleted from topics before it was read."""
        unchecked, self._unchecked = self._unchecked & self._consumer.assignment(), set()
        begins = await self._consumer.beginning_offsets(list(unchecked))
        for tp in unchecked:
            committed = await self._consumer.committed(tp)
            if committed is not None and (gone := begins[tp] - committed) > 0:
                metrics.EXPORT_LOST.labels(tp.topic).inc(gone)
                log.warning(
                    "%s, partition %d: %d records were deleted from the topic before they were written",
                    tp.topic,
                    tp.partition,
                    gone,
                )

"""Store checkpoints that are too long for a commit. Each is a record of its own, and the commit refers to it."""

import asyncio
import logging
import zlib
from collections.abc import Mapping
from secrets import token_hex
from time import monotonic

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition
from faust.types import TP

from tickertape.schemas.checkpoint import Reference, head_of, is_long, refer
from tickertape.schemas.topics import COMMIT_STATE
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import AccessError, BrokerError
from tickertape.stream.kafka.access.rights import refused
from tickertape.stream.kafka.clients.consumer import connected_consumer
from tickertape.stream.kafka.clients.producer import Producer

log = logging.getLogger(__name__)

# A record that isn't fetched within this time is missing.
FOUND_SECONDS = 10.0
# The pause before another try, if Kafka doesn't answer.
AGAIN_SECONDS = 0.5
# An unchanged checkpoint is written again after this time, long before retention deletes it.
STANDS_SECONDS = 24 * 3600.0
# The checkpoints of this many last commits are kept for each partition.
KEPT = 2


class StateMissingError(BrokerError):
    """The record that a commit refers to is missing."""


class KafkaStates:
    """Writes checkpoints to `COMMIT_STATE`; see `tickertape.stream.engine.worker.coordinator.States`.

    Each checkpoint has a key of its own. So a worker that has lost the partition, and whose commit is refused, replaces
    nothing. A checkpoint is deleted once two newer commits have succeeded.

    Parameters
    ----------
    producer
        The producer that writes the checkpoints.
    group
        The consumer group of the checkpoints, because several pipelines may share the topic.
    topic
        The topic's name.
    """

    def __init__(self, producer: Producer, group: str, topic: str = COMMIT_STATE.name) -> None:
        self._producer = producer
        self._group = group
        self._topic = topic
        # By partition: the key of the newest checkpoint, and when it was written.
        self._newest: dict[TP, tuple[str, float]] = {}
        # By partition: the keys that the last commits referred to, empty for a commit that needed no record.
        self._kept: dict[TP, list[str]] = {}

    async def keep(self, tp: TP, metadata: str) -> str:
        """Write a checkpoint, and return the reference that the commit must hold instead.

        Raises
        ------
        BrokerError
            The record was not delivered.
        """
        key, value = f"{self._group}|{tp.topic}|{tp.partition}|{token_hex(8)}", metadata.encode()
        offset = await self._producer.place(self._topic, 0, key.encode(), value)
        self._newest[tp] = key, monotonic()
        head = head_of(metadata)
        return refer(Reference(self._topic, 0, offset, key, zlib.crc32(value), "" if is_long(head) else head))

    def is_due(self, tp: TP) -> bool:
        """Return whether an unchanged checkpoint must be written again."""
        return tp in self._newest and monotonic() - self._newest[tp][1] > STANDS_SECONDS

    def committed(self, commits: Mapping[TP, tuple[int, str]]) -> None:
        """Record successful commits, and delete the checkpoints before the last two."""
        for tp, (_, metadata) in commits.items():
            if not is_long(metadata):
                self._newest.pop(tp, None)
            kept = self._kept.setdefault(tp, [])
            kept.append(self._newest[tp][0] if tp in self._newest else "")
            for old in filter(None, kept[:-KEPT]):
                self._producer.send(self._topic, 0, old.encode(), None)
            del kept[:-KEPT]

    async def find(self, references: Mapping[TP, Reference]) -> dict[TP, str]:
        """Return the checkpoints that commits refer to; wait while Kafka doesn't answer.

        Raises
        ------
        StateMissingError
            A record is missing.
        AccessError
            The right to read the topic is missing.
        """
        self._newest, self._kept = {}, {}
        while True:
            try:
                found = await find(self._producer.connection, references)
                break
            except (StateMissingError, AccessError):
                raise
            except (KafkaError, BrokerError) as error:
                log.warning("the checkpoints that commits refer to can't be read (%s): trying again", error)
                await asyncio.sleep(AGAIN_SECONDS)
        # Write these checkpoints again with the next commit, because their age is unknown.
        self._newest = {tp: (reference.key, -STANDS_SECONDS) for tp, reference in references.items()}
        self._kept = {tp: [reference.key] for tp, reference in references.items()}
        return found


async def find(connection: Connection, references: Mapping[TP, Reference]) -> dict[TP, str]:
    """Return the checkpoints that commits refer to.

    Parameters
    ----------
    connection
        The connection settings.
    references
        The references, by the partition whose checkpoint each one names.

    Raises
    ------
    StateMissingError
        A record is missing.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    if not references:
        return {}
    # If an offset no longer exists, the consumer starts at the log's first record, whose offset doesn't match.
    consumer = await connected_consumer(connection, auto_offset_reset="earliest", max_partition_fetch_bytes=16 << 20)
    try:
        return {tp: await _found(consumer, connection, tp, reference) for tp, reference in references.items()}
    except TopicAuthorizationFailedError as error:
        raise refused(connection, error, f"Read on topic {COMMIT_STATE.name}") from error
    finally:
        await consumer.stop()


async def _found(consumer: AIOKafkaConsumer, connection: Connection, tp: TP, reference: Reference) -> str:
    part = TopicPartition(reference.topic, reference.partition)
    consumer.assign([part])
    consumer.seek(part, reference.offset)
    record = None
    try:
        async with asyncio.timeout(FOUND_SECONDS):
            record = await consumer.getone(part)
    except TimeoutError:
        pass
    wanted = reference.offset, reference.key.encode(), reference.checksum
    if record is None or (record.offset, record.key, zlib.crc32(record.value or b"")) != wanted:
        raise StateMissingError(
            f"{tp.topic}, partition {tp.partition}: its commit refers to {part.topic}, partition {part.partition}, "
            f"offset {reference.offset}, but that record is missing on {connection.broker}: restore the topic, or "
            "start over with another setting `group`"
        )
    text: bytes = record.value
    return text.decode()

"""Checkpoints that are too long for a commit: each a record of its own, which the commit refers to."""

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

# A record that is there comes within this, wherever it lies.
FOUND_SECONDS = 10.0
# Where Kafka can't be asked it is tried again after so long.
AGAIN_SECONDS = 0.5
# What stands is written anew this often, long before retention takes it.
STANDS_SECONDS = 24 * 3600.0
# So many states of a partition are kept, the newest that commits referred to.
KEPT = 2


class StateMissingError(BrokerError):
    """What a commit refers to is not there."""


class KafkaStates:
    """Writes checkpoints to `COMMIT_STATE`; see `tickertape.stream.engine.worker.coordinator.States`.

    Each has a key of its own, so what a worker writes that has lost the partition, and whose commit is refused,
    replaces nothing. One is deleted once it is older than the last two commits that came through.

    Parameters
    ----------
    producer
        It writes them.
    group
        Whose they are: several pipelines may share the topic.
    topic
        The topic's name.
    """

    def __init__(self, producer: Producer, group: str, topic: str = COMMIT_STATE.name) -> None:
        self._producer = producer
        self._group = group
        self._topic = topic
        # By partition: the key of the newest, and since when it is there.
        self._newest: dict[TP, tuple[str, float]] = {}
        # The keys that the last commits referred to, empty for one that needed no record.
        self._kept: dict[TP, list[str]] = {}

    async def keep(self, tp: TP, metadata: str) -> str:
        """Write a checkpoint; return what a commit is to hold in its place.

        Raises
        ------
        BrokerError
            It was not delivered.
        """
        key, value = f"{self._group}|{tp.topic}|{tp.partition}|{token_hex(8)}", metadata.encode()
        offset = await self._producer.place(self._topic, 0, key.encode(), value)
        self._newest[tp] = key, monotonic()
        head = head_of(metadata)
        return refer(Reference(self._topic, 0, offset, key, zlib.crc32(value), "" if is_long(head) else head))

    def is_due(self, tp: TP) -> bool:
        """Return whether what stands is to be written anew."""
        return tp in self._newest and monotonic() - self._newest[tp][1] > STANDS_SECONDS

    def committed(self, commits: Mapping[TP, tuple[int, str]]) -> None:
        """Hear which checkpoints are committed, and delete those that are older than the last two."""
        for tp, (_, metadata) in commits.items():
            if not is_long(metadata):
                self._newest.pop(tp, None)
            kept = self._kept.setdefault(tp, [])
            kept.append(self._newest[tp][0] if tp in self._newest else "")
            for old in filter(None, kept[:-KEPT]):
                self._producer.send(self._topic, 0, old.encode(), None)
            del kept[:-KEPT]

    async def find(self, references: Mapping[TP, Reference]) -> dict[TP, str]:
        """Return the checkpoints that commits refer to; wait where Kafka can't be asked.

        Raises
        ------
        StateMissingError
            One is not there.
        AccessError
            Kafka doesn't let us read them.
        """
        self._newest, self._kept = {}, {}
        while True:
            try:
                found = await find(self._producer.connection, references)
                break
            except (StateMissingError, AccessError):
                raise
            except (KafkaError, BrokerError) as error:
                log.warning("what commits refer to can't be read (%s): it is tried again", error)
                await asyncio.sleep(AGAIN_SECONDS)
        # What was found is written anew with the next commit: nobody knows how long ago it was written.
        self._newest = {tp: (reference.key, -STANDS_SECONDS) for tp, reference in references.items()}
        self._kept = {tp: [reference.key] for tp, reference in references.items()}
        return found


async def find(connection: Connection, references: Mapping[TP, Reference]) -> dict[TP, str]:
    """Return the checkpoints that commits refer to.

    Parameters
    ----------
    connection
        How Kafka is reached.
    references
        By the partition that each is of.

    Raises
    ------
    StateMissingError
        One is not there.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    if not references:
        return {}
    # Without one of these offsets a partition begins where it does, and what is there is another.
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
            f"offset {reference.offset}, and that is not there on {connection.broker}: bring the topic back, or count "
            "anew with another setting `group`"
        )
    text: bytes = record.value
    return text.decode()

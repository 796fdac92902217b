"""Puts on a broker what a pipeline of an earlier commit left there; `record` made it."""

import asyncio
import base64
import lzma
from pathlib import Path
from typing import TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from kafka import KafkaAdminClient
from msgspec import Struct

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer

#: Partition, offset, key, value and headers; a byte is a letter, as in Latin-1.
Record: TypeAlias = tuple[int, int, str | None, str | None, list[tuple[str, str | None]]]


class Left(Struct, forbid_unknown_fields=True):
    """What lay on the broker.

    Attributes
    ----------
    group
        The consumer group that committed.
    partitions
        By topic: how many.
    configs
        By topic: what it was created with.
    commits
        Topic, partition, offset and metadata of each.
    records
        By topic, in order within each partition.
    """

    group: str
    partitions: dict[str, int]
    configs: dict[str, dict[str, str]]
    commits: list[tuple[str, int, int, str]]
    records: dict[str, list[Record]]


def load(file: Path) -> Left:
    packed = msgspec.json.decode(file.read_bytes())["lzma_base85"]
    return msgspec.json.decode(lzma.decompress(base64.b85decode(packed)), type=Left)


def put_back(broker: str, left: Left) -> None:
    """Create the topics as they were, with each record at its offset, and the group's commits."""
    topics = {
        name: {"num_partitions": partitions, "configs": left.configs[name]}
        for name, partitions in left.partitions.items()
    }
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.create_topics(topics)
        admin.wait_for_topics(list(topics))
    asyncio.run(_put_records(broker, left))
    asyncio.run(_commit(broker, left))


async def _put_records(broker: str, left: Left) -> None:
    async with Producer(Connection(broker)) as producer:
        for topic, records in left.records.items():
            following = [0] * left.partitions[topic]
            for partition, offset, key, value, headers in records:
                assert offset == following[partition], "a record that is missing can't be put back"
                following[partition] += 1
                carried = [(name, _bytes(one) or b"") for name, one in headers]
                producer.send(topic, partition, _bytes(key), _bytes(value), carried)


async def _commit(broker: str, left: Left) -> None:
    async with AIOKafkaConsumer(bootstrap_servers=broker, group_id=left.group, enable_auto_commit=False) as consumer:
        parts = {
            TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata)
            for topic, partition, offset, metadata in left.commits
        }
        consumer.assign(list(parts))
        await consumer.commit(parts)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")

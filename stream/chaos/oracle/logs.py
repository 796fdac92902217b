"""Read back what a run has written: topics through Kafka, and producers and commits from the broker's files."""

import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from tickertape.schemas.frame import Frame, frames_in
from tickertape.schemas.topics import SLICES
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.reader import Reader

_COMMIT_VERSION = 4


async def read(connection: Connection, topics: Sequence[str]) -> AsyncIterator[ConsumerRecord]:
    """Yield all records of topics, in order within each partition."""
    async with Reader(connection, topics, from_beginning=True) as reader:
        ends = await reader.ends()
        while not await reader.has_read(ends):
            for record in await reader.read():
                yield record


class Sent(NamedTuple):
    """A frame, its shard, and the id of the producer that sent it, which differs for each worker process."""

    shard: int
    producer: int
    frame: Frame


def frames(data: Path) -> Iterator[Sent]:
    """Yield the frames of every shard, in order within each; only the log files contain the ids of producers."""
    for folder in data.glob(f"records/{SLICES.name}-*"):
        shard = int(folder.name.removeprefix(f"{SLICES.name}-"))
        for batch in _batches(folder):
            for record in batch:
                yield from (Sent(shard, batch.producer_id, frame) for frame in frames_in(record.value))


class Commit(NamedTuple):
    """A group's commit for a partition, as the broker stores it."""

    topic: str
    partition: int
    offset: int
    metadata: str


def commits(data: Path, group: str) -> Iterator[Commit]:
    """Yield a group's commits, in the order in which they were made."""
    for folder in sorted(data.glob("records/__consumer_offsets-*")):
        for batch in _batches(folder):
            for record in batch:
                commit = _commit(record.key, record.value, group)
                if commit is not None:
                    yield commit


def _commit(key: bytes, value: bytes | None, group: str) -> Commit | None:
    """Decode Kafka's OffsetCommitKey (version 1) and OffsetCommitValue (version 4); None for any other record."""
    (version,) = struct.unpack_from(">h", key)
    if version > 1 or value is None:
        return None
    name, at = _text(key, 2)
    topic, at = _text(key, at)
    (partition,) = struct.unpack_from(">i", key, at)
    if name != group:
        return None
    version, offset, _ = struct.unpack_from(">hqi", value)
    if version != _COMMIT_VERSION:
        raise RuntimeError(f"__consumer_offsets has commits of version {version}: add a decoder for it")
    # A compact string begins with its length plus one, seven bits a byte, the lowest first.
    size, at, shift = 0, 14, 0
    while True:
        size |= (value[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if value[at - 1] < 0x80:
            break
    return Commit(topic, partition, offset, value[at : at + size - 1].decode())


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + size].decode(), at + 2 + size


def _batches(folder: Path) -> Iterator[Any]:
    for segment in sorted(folder.glob("*.log")):
        records = MemoryRecords(segment.read_bytes())
        while records.has_next():
            batch = records.next_batch()
            if not batch.is_control_batch:
                yield batch

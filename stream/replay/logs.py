"""Read the log of an input partition as blocks, either dealt out from files or retained by a topic."""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.engine.core.block import Block, Headers
from tickertape.stream.errors import BrokerError
from tickertape.stream.replay import partition_files as deal
from tickertape.stream.replay.frame_files import pieces

# A read is given up if Kafka returns no record for so long.
PATIENCE_SECONDS = 60.0
FETCH_BYTES = 4 << 20


class OfFiles(Struct, frozen=True):
    """A log made from files: their records in order of receipt, between opening and closing heartbeats.

    Attributes
    ----------
    folder, files
        The folder with the ranges' shares, and the number of ranges of each file.
    opening, closing
        The heartbeats before the first record and after the last one.
    """

    folder: str
    files: list[int]
    opening: list[Heartbeat]
    closing: list[Heartbeat]


class OfTopic(Struct, frozen=True):
    """The log that a topic retains of a partition.

    Attributes
    ----------
    connection
        The connection to Kafka.
    start, end
        The first offset to read, and the one after the last.
    """

    connection: Connection
    start: int
    end: int


Log = OfFiles | OfTopic


def of_files(log: OfFiles, topic: str, partition: int, block_records: int) -> Iterator[Block]:
    """Yield the blocks of a log made from files."""
    at = 0

    def block(values: list[Any], heartbeats: Sequence[Heartbeat] = ()) -> Block:
        nonlocal at
        first, at = at, at + len(values)
        headers: dict[int, Headers] = {i: tuple(to_headers(heartbeat)) for i, heartbeat in enumerate(heartbeats)}
        return Block(topic, partition, first, at, np.arange(first, at), values, np.zeros(at - first, np.int64), headers)

    yield block([None] * len(log.opening), log.opening)
    for values in _in_order(Path(log.folder), log.files, topic, partition, block_records):
        yield block(values)
    yield block([None] * len(log.closing), log.closing)


def _in_order(
    folder: Path, files: Sequence[int], topic: str, partition: int, block_records: int
) -> Iterator[list[bytes]]:
    """Yield the records of all files in order of receipt, a block at a time; of equal times, the first file's first."""
    numbers = iter(range(sum(files)))
    each = [list(islice(numbers, ranges)) for ranges in files]
    shares = [_Share([deal.share(folder, number, topic, partition) for number in ranges]) for ranges in each]
    times_ms = [
        np.concatenate([np.fromfile(deal.received(folder, number, topic, partition), np.int64) for number in ranges])
        for ranges in each
    ]
    file_of = np.repeat(np.arange(len(files)), [len(times) for times in times_ms])
    if len(files) > 1:
        # A range's times don't include what earlier ranges received.
        at_ms = [np.maximum.accumulate(times) for times in times_ms]
        file_of = file_of[np.argsort(np.concatenate(at_ms), kind="stable")]
    for first in range(0, len(file_of), block_records):
        whose = file_of[first : first + block_records]
        if whose[0] == whose[-1] and (whose == whose[0]).all():
            yield shares[whose[0]].read(len(whose))
            continue
        values = np.empty(len(whose), object)
        for file in np.unique(whose).tolist():
            mine = np.flatnonzero(whose == file)
            values[mine] = shares[file].read(len(mine))
        yield values.tolist()


class _Share:
    """Reads a file's records of one partition, some at a time."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._pieces = chain.from_iterable(pieces(path, list[bytes]) for path in paths)
        self._held: list[bytes] = []
        self._at = 0

    def read(self, n: int) -> list[bytes]:
        taken = self._held[self._at : self._at + n]
        self._at += len(taken)
        while len(taken) < n:
            self._held = next(self._pieces)
            self._at = n - len(taken)
            taken += self._held[: self._at]
        return taken


async def of_topic(
    log: OfTopic, topic: str, partition: int, block_records: int, block_bytes: int
) -> AsyncIterator[Block]:
    """Yield the blocks of a partition's retained log.

    Raises
    ------
    BrokerError
        Kafka became unreachable, or retention removed records while they were read.
    """
    from aiokafka import AIOKafkaConsumer
    from aiokafka.errors import KafkaError, OffsetOutOfRangeError
    from aiokafka.structs import TopicPartition

    from tickertape.stream.engine.fetch.unpacking import Blocks
    from tickertape.stream.kafka.access.rights import refused
    from tickertape.stream.kafka.access.security import for_aiokafka

    if log.start >= log.end:
        return
    consumer = AIOKafkaConsumer(
        **for_aiokafka(log.connection),
        auto_offset_reset="none",
        check_crcs=False,
        enable_auto_commit=False,
        # Records of aborted transactions don't count.
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
        value_deserializer=Blocks(frozenset([topic]), block_records, block_bytes),
    )
    tp, read = TopicPartition(topic, partition), log.start
    try:
        await consumer.start()
        consumer.assign([tp])
        consumer.seek(tp, log.start)
        while read < log.end:
            found = await consumer.getmany(tp, timeout_ms=int(PATIENCE_SECONDS * 1000))
            if not found:
                raise BrokerError(
                    f"{topic}, partition {partition}: Kafka returns no records from offset {read} on, though the log "
                    f"ends at {log.end}: check for an open transaction"
                )
            for record in found[tp]:
                # Records may have been appended since the end was read.
                if read < log.end:
                    block: Block = record.value.before(log.end)
                    read = block.end
                    yield block
    except OffsetOutOfRangeError:
        raise BrokerError(
            f"{topic}, partition {partition}: retention removed offset {read} while the log was read: run this again"
        ) from None
    except KafkaError as error:
        raise refused(log.connection, error, f"Read on topic {topic}") from error
    finally:
        await consumer.stop()

"""Read sinks in blocks, from some time ago to their ends and on."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from aiokafka.structs import TopicPartition

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.kafka.access.rights import no_topic, unseen
from tickertape.stream.kafka.clients.consumer import connected_consumer
from tickertape.stream.kafka.clients.reader import Ends, Reader

#: The least time between two reads: the broker waits so long for more records, unless there are many.
WAIT_MS = 100
_FETCH_BYTES = 4 << 20
_BLOCK_RECORDS, _BLOCK_BYTES = 2048, 1 << 20


class Tail:
    """Reads topics in blocks, some ten times a second.

    Parameters
    ----------
    connection
        The connection settings.
    topics
        The topics, which exist.
    """

    def __init__(self, connection: Connection, topics: Sequence[str]) -> None:
        self._reader = Reader(
            connection,
            topics,
            from_beginning=True,
            value_deserializer=Blocks(frozenset(topics), _BLOCK_RECORDS, _BLOCK_BYTES),
            fetch_min_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=WAIT_MS,
        )

    async def __aenter__(self) -> Self:
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, error, trace)

    async def begin(self, time_ms: int, most_records: int) -> Ends:
        """Go to what was appended at a time or later, but at most so many records of a partition before its end.

        Returns
        -------
        dict
            By partition: the offset of the first record that will be read.
        """
        ends = await self._reader.ends()
        found = await self._reader.offsets_at(time_ms)
        await self.go_to({tp: max(offset, ends[tp] - most_records) for tp, offset in found.items()})
        return await self._reader.positions()

    async def go_to(self, offsets: Ends) -> None:
        """Go to these offsets."""
        await self._reader.skip(offsets)

    async def ends(self) -> Ends:
        return await self._reader.ends()

    async def begins(self) -> Ends:
        """Return the first offset that each partition still holds."""
        return await self._reader.begins()

    async def offsets_at(self, time_ms: int) -> Ends:
        """Return the first offset appended at a time or later, by partition; the log's end if there is none."""
        return await self._reader.offsets_at(time_ms)

    async def read(self) -> list[Block]:
        """Return the blocks that have come; none if there is none within a quarter of a second."""
        return [record.value for record in await self._reader.read()]

    async def has_read(self, ends: Ends) -> bool:
        """Return whether all before these offsets has been read."""
        return await self._reader.has_read(ends)


async def existing(connection: Connection, topics: Sequence[str]) -> list[str]:
    """Return those of some topics that the broker has.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or has none of them.
    """
    consumer = await connected_consumer(connection)
    try:
        there = await consumer.topics()
        if found := [topic for topic in topics if topic in there]:
            return found
        raise await unseen(connection, consumer._client, topics[0]) or no_topic(connection, topics[0])
    finally:
        await consumer.stop()


def of_topic(offsets: Ends, topic: str) -> dict[int, int]:
    """Return the offsets of one topic, by the partition's number."""
    return {tp.partition: offset for tp, offset in offsets.items() if tp.topic == topic}


def on_topic(offsets: dict[int, int], topic: str) -> Ends:
    """Return offsets by the partition's number as those of a topic."""
    return {TopicPartition(topic, number): offset for number, offset in offsets.items()}

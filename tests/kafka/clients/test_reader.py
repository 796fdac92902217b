"""Reading whole topics: from the beginning, from now, from a time and from before an offset."""

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka.structs import TopicPartition

from tickertape.schemas.topics import Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.admin.topics import add_partitions, create
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: str) -> Settings:
    return Settings(broker=kafka)


@pytest.fixture
def made(settings: Settings, topic: Callable[..., str]) -> Topic:
    found = Topic(name=topic("read"), holds="numbers", partitions=2, growable=True)
    create(settings, [found])
    return found


async def send(settings: Settings, topic: Topic, partition: int, *values: bytes) -> None:
    async with Producer(settings) as producer:
        for value in values:
            producer.send(topic.name, partition, None, value)
        await producer.flush()


async def read(reader: Reader, n: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    async with asyncio.timeout(30):
        while len(found) < n:
            found += [(record.partition, record.value) for record in await reader.read()]
    return sorted(found)


def test_from_the_beginning_and_from_now_on(settings: Settings, made: Topic) -> None:
    async def scenario() -> None:
        await send(settings, made, 0, b"a", b"b")
        async with (
            Reader(settings, [made.name], from_beginning=True) as all_of_it,
            Reader(settings, [made.name], from_beginning=False) as news,
        ):
            await send(settings, made, 1, b"c")
            assert await read(all_of_it, 3) == [(0, b"a"), (0, b"b"), (1, b"c")]
            assert await read(news, 1) == [(1, b"c")]
            ends = await all_of_it.ends()
            assert {tp.partition: end for tp, end in ends.items()} == {0: 2, 1: 1}
            assert await all_of_it.has_read(ends)
            assert {tp.partition: at for tp, at in (await news.positions()).items()} == {0: 2, 1: 1}

    asyncio.run(scenario())


def test_from_a_time_and_from_before_an_offset(settings: Settings, made: Topic) -> None:
    tp = TopicPartition(made.name, 0)

    async def scenario() -> None:
        await send(settings, made, 0, b"a", b"b")
        await asyncio.sleep(0.3)
        between_ms = int(time.time() * 1000)
        await asyncio.sleep(0.3)
        await send(settings, made, 0, b"c", b"d")
        async with Reader(settings, [made.name], from_beginning=False) as reader:
            assert (await reader.offsets_at(between_ms))[tp] == 2
            assert (await reader.offsets_at(0))[tp] == 0
            # Nothing was appended after it: the end.
            assert (await reader.offsets_at(between_ms + 3_600_000))[tp] == 4
            # Of the record before offset 4, half a second back: c; and an hour back, a.
            assert await reader.before({tp: 4}, 200) == {tp: 2}
            assert await reader.before({tp: 4}, 3_600_000) == {tp: 0}
            # Before the first there is none.
            assert await reader.before({tp: 0}, 1000) == {tp: 0}
            await reader.skip({tp: 3})
            assert await read(reader, 1) == [(0, b"d")]

    asyncio.run(scenario())


def test_a_partition_that_is_added_is_read_from_its_beginning(settings: Settings, made: Topic) -> None:
    async def scenario() -> None:
        async with Reader(settings, [made.name], from_beginning=False) as reader:
            await asyncio.to_thread(add_partitions, settings, made, 3)
            await send(settings, made, 2, b"new")
            assert await read(reader, 1) == [(2, b"new")]

    asyncio.run(scenario())


def test_what_is_not_there_is_told_of(settings: Settings) -> None:
    async def scenario(settings: Settings) -> None:
        async with Reader(settings, ["no-such-topic"], from_beginning=True):
            pass

    with pytest.raises(BrokerError, match="no-such-topic"):
        asyncio.run(scenario(settings))
    with pytest.raises(BrokerError, match="no Kafka answers at nonsense"):
        asyncio.run(scenario(Settings(broker="nonsense")))

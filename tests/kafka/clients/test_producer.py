"""The producer against a real broker, also one that stops and comes back."""

import asyncio
import os
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from tests.compiled.both import needs_library, packed
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

Record = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A broker that these tests may stop."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def written(own: EmbeddedKafka, topic: Callable[..., str]) -> str:
    """A topic of three partitions."""
    own.start()
    name = topic("written")
    with KafkaAdminClient(bootstrap_servers=own.broker) as admin:
        admin.create_topics([NewTopic(name, 3, 1, topic_configs={"max.message.bytes": str(16 << 20)})])
    return name


async def read(broker: str, topic: str, partition: int = 0) -> list[Record]:
    """Return all records of a partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker, auto_offset_reset="earliest", max_partition_fetch_bytes=1 << 25
    )
    await consumer.start()
    try:
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        end = (await consumer.end_offsets([where]))[where]
        records: list[Record] = []
        while await consumer.position(where) < end:
            batch = await consumer.getmany(timeout_ms=500)
            records += [(r.key, r.value, r.headers) for r in batch.get(where, [])]
        return records
    finally:
        await consumer.stop()


def listening(kafka: EmbeddedKafka) -> psutil.Process:
    """Return the broker's process."""
    port = int(kafka.broker.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections("tcp")):
            return process
    raise AssertionError(f"nothing listens on {kafka.broker}")


def values(records: list[Record]) -> list[bytes | None]:
    return [value for _, value, _ in records]


def test_records_of_a_partition_arrive_in_the_order_they_were_put(own: EmbeddedKafka, written: str) -> None:
    expected = [b"%d" % n for n in range(60_000)]

    async def scenario() -> None:
        # Batches of 4 KiB: the order holds across hundreds of them.
        async with Producer(Connection(own.broker), batch_bytes=4096) as producer:
            for n, value in enumerate(expected):
                producer.send(written, n % 3, b"key", value)
                if n % 5000 == 0:
                    await producer.room()
                    await asyncio.sleep(0)
            await producer.flush()
            assert producer.pending_bytes == 0
            for partition in range(3):
                assert values(await read(own.broker, written, partition)) == expected[partition::3]

    asyncio.run(scenario())


@needs_library
def test_packed_records_keep_their_order_among_others(own: EmbeddedKafka, written: str) -> None:
    expected = [b"%d" % n for n in range(40_000)]

    async def scenario() -> None:
        async with Producer(Connection(own.broker), batch_bytes=4096, compression="lz4") as producer:
            for first in range(0, len(expected), 5000):
                pairs = [(b"key", value) for value in expected[first : first + 5000]]
                # Many at once, packed or not, and one alone.
                producer.send_many(written, 0, packed(pairs[:3000]))
                producer.send(written, 0, *pairs[3000])
                producer.send_many(written, 0, pairs[3001:4000])
                producer.send_many(written, 0, packed(pairs[4000:4001]))
                producer.send_many(written, 0, packed(pairs[4001:]))
                await producer.room()
                await asyncio.sleep(0)
            await producer.flush()
            assert producer.pending_bytes == 0
            assert values(await read(own.broker, written)) == expected

    asyncio.run(scenario())


@needs_library
def test_a_packed_record_of_10_mb_passes_between_small_ones(own: EmbeddedKafka, written: str) -> None:
    pairs = [(b"a", b"small"), (b"b", b"x" * 10_000_000), (b"c", b"small")]

    async def scenario() -> None:
        async with Producer(Connection(own.broker)) as producer:
            producer.send_many(written, 0, packed(pairs))
            await producer.flush()
            assert [(key, value) for key, value, _ in await read(own.broker, written)] == pairs

    asyncio.run(scenario())


def test_each_batch_says_who_sent_it_and_which_it_is_so_that_kafka_takes_none_twice(
    own: EmbeddedKafka, written: str
) -> None:
    async def scenario() -> None:
        async with Producer(Connection(own.broker)) as producer:
            for n in range(3):
                producer.send(written, 0, None, b"%d" % n)
            await producer.flush()
            producer.send(written, 0, None, b"3")
            await producer.flush()

    asyncio.run(scenario())
    (segment,) = own.data.rglob(f"{written}-0/*.log")
    log, batches = segment.read_bytes(), []
    while log:
        # A batch of version 2: its length from byte 8, the producer's id, epoch and sequence from byte 43.
        length = 12 + struct.unpack_from(">i", log, 8)[0]
        batches.append(struct.unpack_from(">qhi", log, 43))
        log = log[length:]
    # Without idempotence all of these are -1.
    (first, _, zero), (second, _, three) = batches
    assert first == second >= 0
    assert (zero, three) == (0, 3)


def test_what_is_put_is_what_arrives(own: EmbeddedKafka, written: str) -> None:
    async def scenario() -> list[Record]:
        async with Producer(Connection(own.broker), compression="zstd") as producer:
            producer.send(written, 0, b"key", b"value")
            producer.send(written, 0, None, None, [("heartbeat", b"now")])
            producer.send(written, 0, "Ķ".encode(), b"")
        return await read(own.broker, written)

    assert asyncio.run(scenario()) == [
        (b"key", b"value", ()),
        (None, None, (("heartbeat", b"now"),)),
        ("Ķ".encode(), b"", ()),
    ]


def test_a_flush_waits_for_every_partition(own: EmbeddedKafka, written: str) -> None:
    async def run() -> int:
        async with Producer(Connection(own.broker)) as producer:
            producer.send(written, 0, None, b"one")
            # Many requests, one after the other, while that is long acknowledged.
            for _ in range(200):
                producer.send(written, 1, None, bytes(100_000))
            await producer.flush()
            return producer.pending_bytes

    assert asyncio.run(run()) == 0
    assert len(asyncio.run(read(own.broker, written, 1))) == 200


def test_a_record_of_10_mb_passes_between_small_ones(own: EmbeddedKafka, written: str) -> None:
    large = os.urandom(10_000_000)

    async def scenario() -> list[Record]:
        async with Producer(Connection(own.broker)) as producer:
            for value in (b"before", large, b"after"):
                producer.send(written, 0, None, value)
            await producer.flush()
            return await read(own.broker, written)

    assert values(asyncio.run(scenario())) == [b"before", large, b"after"]


def test_a_record_that_the_broker_refuses_fails_all_that_follows(own: EmbeddedKafka, written: str) -> None:
    async def scenario() -> None:
        producer = Producer(Connection(own.broker))
        await producer.start()
        producer.send(written, 1, None, bytes(20_000_000))
        with pytest.raises(BrokerError, match=rf"topic {written}, partition 1.*MessageSizeTooLarge"):
            await producer.flush()
        with pytest.raises(BrokerError, match="partition 1"):
            producer.send(written, 0, None, b"more")
        with pytest.raises(BrokerError, match="partition 1"):
            await producer.room()
        with pytest.raises(BrokerError, match="partition 1"):
            await producer.stop()

    asyncio.run(scenario())


def test_a_topic_that_does_not_exist_is_named(own: EmbeddedKafka) -> None:
    own.start()

    async def scenario() -> None:
        async with Producer(Connection(own.broker)) as producer:
            with pytest.raises(BrokerError, match=r"topic nowhere doesn't exist.*topics create"):
                await producer.partitions("nowhere")

    asyncio.run(scenario())


def test_a_broker_that_is_not_there_is_named() -> None:
    async def scenario() -> None:
        with pytest.raises(BrokerError, match=r"^no Kafka answers at 127\.0\.0\.1:1: start it"):
            await Producer(Connection("127.0.0.1:1")).start()

    asyncio.run(scenario())


def test_partitions_added_later_are_seen(own: EmbeddedKafka, written: str) -> None:
    async def scenario() -> None:
        async with Producer(Connection(own.broker)) as producer:
            assert await producer.partitions(written) == 3
            with KafkaAdminClient(bootstrap_servers=own.broker) as admin:
                admin.create_partitions({written: 5})
            async with asyncio.timeout(10):
                while await producer.partitions(written) < 5:  # noqa: ASYNC110 - it is in another process
                    await asyncio.sleep(0.1)
            producer.send(written, 4, None, b"there")
            await producer.flush()
            assert values(await read(own.broker, written, 4)) == [b"there"]

    asyncio.run(scenario())


def test_room_bounds_what_is_buffered_while_the_broker_is_stuck(own: EmbeddedKafka, written: str) -> None:
    process = listening(own)

    async def scenario() -> None:
        async with Producer(Connection(own.broker), buffer_bytes=100_000) as producer:
            producer.send(written, 0, None, b"first")
            await producer.flush()
            process.suspend()
            try:
                producer.send(written, 0, None, bytes(60_000))
                await asyncio.wait_for(producer.room(), 1)
                producer.send(written, 0, None, bytes(60_000))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(producer.room(), 0.5)
            finally:
                process.resume()
            await asyncio.wait_for(producer.room(), 10)

    asyncio.run(scenario())


def test_what_is_sent_later_waits_for_room_and_keeps_its_order(own: EmbeddedKafka, written: str) -> None:
    process, called = listening(own), list[int]()

    async def scenario() -> list[bytes | None]:
        async with Producer(Connection(own.broker), buffer_bytes=100_000) as producer:

            def send(number: int) -> None:
                called.append(number)
                producer.send(written, 0, None, b"%d" % number + bytes(60_000))

            producer.send(written, 0, None, b"first")
            await producer.flush()
            process.suspend()
            try:
                for number in range(5):
                    producer.send_later(partial(send, number))
                # The second one was called because the first had left room, and then there was none.
                assert called == [0, 1]
                for wait in (producer.room, producer.flush):
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(wait(), 0.5)
                assert called == [0, 1]
            finally:
                process.resume()
            await asyncio.wait_for(producer.room(), 10)
            assert called == [0, 1, 2, 3, 4]
            assert producer.pending_bytes <= 100_000
            for number in range(5, 9):
                producer.send_later(partial(send, number))
            await producer.flush()
            assert producer.pending_bytes == 0
            return values(await read(own.broker, written, 0))

    found = asyncio.run(scenario())
    assert [value and value.rstrip(bytes(1)) for value in found] == [b"first", *(b"%d" % number for number in range(9))]


def test_what_waits_to_be_sent_is_never_called_once_a_record_is_lost(own: EmbeddedKafka, written: str) -> None:
    process, called = listening(own), list[int]()

    async def scenario() -> None:
        producer = Producer(Connection(own.broker), delivery_seconds=2, buffer_bytes=10)
        await producer.start()
        producer.send(written, 0, None, b"first")
        await producer.flush()
        process.suspend()
        try:
            producer.send(written, 0, None, bytes(100))
            producer.send_later(partial(called.append, 1))
            for wait in (producer.room, producer.flush, producer.stop):
                with pytest.raises(BrokerError, match=r"partition 0.*2 s"):
                    await wait()
            with pytest.raises(BrokerError):
                producer.send_later(partial(called.append, 2))
        finally:
            process.resume()

    asyncio.run(scenario())
    assert called == []


def test_a_broker_that_stays_stuck_fails_in_bounded_time(own: EmbeddedKafka, written: str) -> None:
    process = listening(own)

    async def scenario() -> float:
        producer = Producer(Connection(own.broker), delivery_seconds=2)
        await producer.start()
        producer.send(written, 0, None, b"first")
        await producer.flush()
        process.suspend()
        began = time.monotonic()
        try:
            producer.send(written, 0, None, b"second")
            with pytest.raises(BrokerError, match=r"partition 0.*2 s"):
                await producer.flush()
            with pytest.raises(BrokerError):
                await producer.stop()
        finally:
            process.resume()
        return time.monotonic() - began

    assert asyncio.run(scenario()) < 6


@pytest.mark.slow
@pytest.mark.parametrize("end", [EmbeddedKafka.kill, EmbeddedKafka.stop])
def test_nothing_is_lost_or_repeated_while_the_broker_restarts(
    own: EmbeddedKafka, written: str, end: Callable[[EmbeddedKafka], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        sent: list[list[bytes | None]] = [[], [], []]
        async with Producer(Connection(own.broker)) as producer:

            async def write(seconds: float) -> None:
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    for n in range(300):
                        value = b"%d" % sum(map(len, sent))
                        producer.send(written, n % 3, None, value)
                        sent[n % 3].append(value)
                    await producer.room()
                    await asyncio.sleep(0.01)

            await write(1)
            writing = asyncio.create_task(write(8))
            await asyncio.to_thread(end, own)
            await asyncio.sleep(1)
            await asyncio.to_thread(own.start)
            await writing
            await asyncio.wait_for(producer.flush(), 30)
        for partition in range(3):
            assert values(await read(own.broker, written, partition)) == sent[partition]

    asyncio.run(scenario())
    # Ten a second, not a thousand: what it asks of a broker that is away, the broker's start goes without.
    asked = sum("Unable to update metadata" in record.getMessage() for record in caplog.records)
    assert asked < 300

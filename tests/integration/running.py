"""The pipeline as a user runs it: worker processes on a real Kafka, fed, and read back at the sinks."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from agents.market.bars import Bar
from schemas.topics import CATALOGUE, TRADES
from schemas.trade import Trade
from stream.feeds.publish import Publisher
from stream.kafka import topics
from stream.kafka.producer import Producer
from stream.settings import Settings
from stream.workers import Supervisor

_runs = count(1)


@contextmanager
def running(
    broker: str, workers: int, say: Callable[[str], None] = print, **changes: object
) -> Iterator[tuple[Settings, Supervisor]]:
    """Run workers on fresh topics, as a group of their own."""
    settings = fresh(broker, **changes)
    with Supervisor(settings, workers, say) as supervisor:
        yield settings, supervisor


def fresh(broker: str, **changes: object) -> Settings:
    """Make all topics anew; return settings with a group of their own."""
    settings = msgspec.structs.replace(Settings(broker=broker, group=f"run-{next(_runs)}"), **changes)
    _delete(broker)
    topics.create(broker, settings)
    return settings


def _delete(broker: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    names = {topic.name for topic in CATALOGUE}
    if there := names & set(admin.list_topics()):
        admin.delete_topics(list(there))
        until("the topics are deleted", lambda: not names & set(admin.list_topics()))
    admin.close()


def until(what: str, true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.2)


def feed(broker: str, trades: Sequence[Trade], *, close: bool = True) -> None:
    """Send trades as a feed does, heartbeats included."""

    async def run() -> None:
        async def batches() -> AsyncIterator[Sequence[Trade]]:
            for first in range(0, len(trades), 1000):
                yield trades[first : first + 1000]

        async with Producer(broker) as producer:
            await Publisher(producer).feed(batches(), close=close)

    asyncio.run(run())


def put(broker: str, records: Sequence[tuple[int, bytes | None, Sequence[tuple[str, bytes]]]]) -> None:
    """Put raw (partition, value, headers) on ``trades``."""

    async def run() -> None:
        async with Producer(broker) as producer:
            for partition, value, headers in records:
                producer.put(TRADES.name, partition, b"raw", value, headers)

    asyncio.run(run())


def read(broker: str, topic: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of all that a topic holds."""
    consumer = KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    ends = consumer.end_offsets(partitions)
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for records in consumer.poll(1000).values():
            for record in records:
                yield record.key, record.value
    consumer.close()


def bars(broker: str) -> dict[str, Bar]:
    """Return what a reader of ``bars`` holds: of each key the highest (final, revision)."""
    held: dict[str, Bar] = {}
    decode = msgspec.json.Decoder(Bar).decode
    for key, value in read(broker, "bars"):
        bar, name = decode(value), key.decode()
        if name not in held or (bar.final, bar.revision) > (held[name].final, held[name].revision):
            held[name] = bar
    return held


def is_read(settings: Settings) -> bool:
    """Whether all of ``trades`` is read and committed."""
    return all(state.lag == 0 for state in topics.describe(settings.broker, settings, [TRADES]))


def all_final(settings: Settings) -> dict[str, Bar]:
    """Wait until the input is read and every bar is final; return the bars."""
    until("all is read", lambda: is_read(settings))
    held: dict[str, Bar] = {}

    def final() -> bool:
        held.clear()
        held.update(bars(settings.broker))
        return bool(held) and all(bar.final for bar in held.values())

    until("every bar is final", final)
    return held


def tallies(settings: Settings) -> Counter[str]:
    """Return the sum over partitions, having checked that each adds up."""
    total: Counter[str] = Counter()
    for partition in topics.describe(settings.broker, settings, [TRADES])[0].partitions:
        assert partition.tallies is not None
        assert sum(partition.tallies.values()) == partition.upto
        total.update(partition.tallies)
    return total

"""The pipeline as a user runs it: worker processes on a real Kafka, fed, and read back at the sinks."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeAlias, TypeVar

import msgspec
from aiokafka.structs import ConsumerRecord
from kafka import KafkaAdminClient

from tickertape.agents.market.bars import Bar
from tickertape.agents.market.quote_bars import QuoteBar
from tickertape.agents.social.chatter import Chatter
from tickertape.schemas.frame import Tallies
from tickertape.schemas.topics import CATALOGUE, TRADES, Topic
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.oracle import logs
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer

#: Records by symbol, source, resolution and start.
Rows: TypeAlias = dict[tuple[str, str, str, int], dict[str, Any]]
T = TypeVar("T", Bar, QuoteBar, Chatter)

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
    delete_topics(broker)
    topics.create(settings)
    return settings


def delete_topics(broker: str) -> None:
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

        async with Producer(Connection(broker)) as producer:
            await Publisher(producer).feed(batches(), close=close)

    asyncio.run(run())


def put(broker: str, records: Sequence[tuple[int, bytes | None, Sequence[tuple[str, bytes]]]]) -> None:
    """Put raw (partition, value, headers) on ``trades``."""

    async def run() -> None:
        async with Producer(Connection(broker)) as producer:
            for partition, value, headers in records:
                producer.send(TRADES.name, partition, b"raw", value, headers)

    asyncio.run(run())


def records(broker: str, topic: str) -> list[ConsumerRecord]:
    """Return all that a topic holds, in order within each partition."""

    async def run() -> list[ConsumerRecord]:
        return [record async for record in logs.read(Connection(broker), [topic])]

    return asyncio.run(run())


def read(broker: str, topic: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of all that a topic holds."""
    for record in records(broker, topic):
        yield record.key, record.value


def bars(broker: str) -> dict[str, Bar]:
    return results(broker, "bars", Bar)


def results(broker: str, sink: str, kind: type[T]) -> dict[str, T]:
    """Return what a reader of a sink holds: of each key the highest (final, revision)."""
    held: dict[str, T] = {}
    decode = msgspec.json.Decoder(kind).decode
    for key, value in read(broker, sink):
        one, name = decode(value), key.decode()
        if name not in held or (one.final, one.revision) > (held[name].final, held[name].revision):
            held[name] = one
    return held


def by_kind(
    broker: str, sink: str, *, named: bool = True
) -> dict[str, dict[tuple[str, str, str, int], dict[str, Any]]]:
    """Return by kind what a reader holds of a sink that has several, by symbol, source, resolution and start."""
    held: dict[str, dict[tuple[str, str, str, int], dict[str, Any]]] = {}
    for key, value in read(broker, sink):
        symbol, source, resolution, start_ms, kind = key.decode().split("|")
        row, of_kind = msgspec.json.decode(value), held.setdefault(kind, {})
        assert row["kind" if named else "rule"] == kind
        name = symbol, source, resolution, int(start_ms)
        if name not in of_kind or row["revision"] >= of_kind[name]["revision"]:
            of_kind[name] = row
    return held


def is_read(settings: Settings, topic: Topic = TRADES) -> bool:
    """Whether all of a topic is read and committed."""
    return all(state.lag == 0 for state in topics.describe(settings, [topic]))


def all_final(settings: Settings) -> dict[str, Bar]:
    """Wait until the trades are read and every bar is final; return the bars."""
    return finals(settings, TRADES, "bars", Bar)


def finals(settings: Settings, topic: Topic, sink: str, kind: type[T]) -> dict[str, T]:
    """Wait until a topic is read and every result on a sink is final; return these."""
    until(f"all of {topic.name} is read", lambda: is_read(settings, topic))
    held: dict[str, T] = {}

    def final() -> bool:
        held.clear()
        held.update(results(settings.broker, sink, kind))
        return bool(held) and all(one.final for one in held.values())

    until(f"every result on {sink} is final", final)
    return held


def tallies(settings: Settings, topic: Topic = TRADES) -> Counter[str]:
    """Return the sum over partitions, having checked that each adds up."""
    total: Counter[str] = Counter()
    for partition in topics.describe(settings, [topic])[0].partitions:
        assert partition.tallies is not None
        assert Tallies(**partition.tallies).offsets == partition.upto
        total.update(partition.tallies)
    return total

"""Bars that are published to a real Kafka, and read while they come."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec

from tests.recent.made import COLUMNS, bar
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import discover
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.recent.columns import load
from tickertape.stream.recent.held import Held
from tickertape.stream.recent.recent import Recent
from tickertape.stream.recent.sinks import sinks_of

NOW_MS = int(time.time() * 1000) // 1000 * 1000
EVER_MS = 1 << 60
PARTITIONS = 3


@contextmanager
def made_topics() -> Iterator[Settings]:
    """Run a Kafka with all topics."""
    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker, partitions={"bars": PARTITIONS})
        topics.create(settings, discover(settings.agents).topics)
        yield settings


def of(symbol: str, second: int, revision: int, *, final: bool = False, **fields: Any) -> dict[str, Any]:
    return bar(symbol, 0, float(revision), revision, final=final, start_ms=NOW_MS + 1000 * second, **fields)


async def publish(producer: Producer, *values: dict[str, Any] | bytes) -> None:
    for value in values:
        symbol = value["symbol"] if isinstance(value, dict) else "A"
        text = msgspec.json.encode(value) if isinstance(value, dict) else value
        producer.send("bars", ord(symbol[-1]) % PARTITIONS, symbol.encode(), text)
    await producer.flush()


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Recent]:
    recent = Recent(settings, sinks_of(settings), load(COLUMNS))
    task = asyncio.create_task(recent.run())
    waiting = asyncio.create_task(recent.caught_up.wait())
    await asyncio.wait([task, waiting], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert recent.caught_up.is_set(), task
    try:
        yield recent
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(recent: Recent, true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await recent.round_after(recent.number)


def run(work: Callable[[Producer], Awaitable[None]], settings: Settings) -> None:
    async def with_producer() -> None:
        async with Producer(settings) as producer:
            await work(producer)

    asyncio.run(asyncio.wait_for(with_producer(), 240))


def rows(found: Iterable[Held]) -> list[tuple[str, int, bool, int, bool]]:
    """Return symbol, second, final, revision and corrected of results, in order."""
    return sorted(
        (one.series.symbol, (one.start_ms - NOW_MS) // 1000, one.final, one.revision, one.corrected) for one in found
    )

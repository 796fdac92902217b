"""Makes what a pipeline leaves on Kafka when it is killed half way, for a later commit to go on with.

``.venv/bin/python -m tests.integration.in_place.record tests/integration/in_place/<commit>.json``
"""

import asyncio
import base64
import lzma
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from tests.integration.running import is_read, until
from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import CATALOGUE, POSTS, QUOTES, SLICES, TRADES, WINDOW_STATE
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.oracle import logs
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

PARTITIONS = {topic.name: 2 for topic in (TRADES, QUOTES, POSTS, SLICES, WINDOW_STATE)}
KINDS = ("ema", "rsi", "bollinger")
ROLLING_MS = {"10s": 10_000}
RULES = """
[[rule]]
name = "golden"
when = "cross"
on = "indicators/ema"
field = "fast"
over = "slow"
direction = "up"
"""
GROUP = "in-place"
START_MS = 1_723_161_255_000
SYMBOLS = ("ADA-USD", "BTC-USD", "ETH-USD")
SECONDS = 100
# What is read, and in part snapshot, when the worker is killed; the rest lies in the log unread.
READ_SECONDS = 60


def market() -> list[Event]:
    """Make trades and quotes of two sources and posts of one, in order of receipt: some are late, some sent again."""
    rng = random.Random(11)
    found: list[Event] = []
    for number in range(SECONDS * 10):
        time_ms = START_MS + number * 100 + rng.randrange(100)
        symbol, source = rng.choice(SYMBOLS), rng.choice(("north", "south"))
        found.append(
            Trade(
                symbol=symbol,
                source=source,
                id=number,
                # One in forty comes when its window is closed.
                time_ms=time_ms - 9000 if number > 200 and not number % 40 else time_ms,
                price=round(rng.uniform(10, 11), 4),
                quantity=round(rng.expovariate(1) + 0.001, 6),
                side=rng.choice(("buy", "sell")),
                received_ms=time_ms,
            )
        )
        if not number % 50:
            found.append(found[-1])
        if not number % 4:
            bid = round(rng.uniform(10, 11), 4)
            found.append(
                Quote(
                    symbol=symbol,
                    source=source,
                    id=number,
                    time_ms=time_ms,
                    bid=bid,
                    bid_quantity=round(rng.expovariate(1) + 0.001, 6),
                    ask=round(bid + 0.01, 4),
                    ask_quantity=round(rng.expovariate(1) + 0.001, 6),
                    received_ms=time_ms,
                )
            )
        if not number % 10:
            found.append(
                Post(
                    author=f"author-{rng.randrange(20)}",
                    source="bluesky",
                    id=number,
                    time_ms=time_ms,
                    text=rng.choice(("this is great", "a bad day", "no news")),
                    tags=(rng.choice(("up", "down")),),
                    symbols=(symbol,),
                    likes=rng.randrange(50),
                    received_ms=time_ms,
                )
            )
    return found


def feed(broker: str, events: Sequence[Event], *, close: bool) -> None:
    async def batches() -> AsyncIterator[Sequence[Event]]:
        yield events

    async def run() -> None:
        async with Producer(Connection(broker)) as producer:
            await Publisher(producer).feed(batches(), close=close)

    asyncio.run(run())


def configs(broker: str, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return what each topic was created with."""
    wanted = ("cleanup.policy", "message.timestamp.type", "retention.ms", "max.message.bytes")
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name, list(wanted)) for name in names])
    return {name: {one: found["topic"][name][one]["value"] for one in wanted} for name in names}


def text(raw: bytes | None) -> str | None:
    # Most are JSON, which stays small so; any byte has a letter.
    return None if raw is None else raw.decode("latin-1")


async def records(broker: str, names: Sequence[str]) -> dict[str, list[list[object]]]:
    """Return each topic's records, with partition, offset, key, value and headers."""
    held: dict[str, list[list[object]]] = {name: [] for name in names}
    async for record in logs.read(Connection(broker), names):
        headers = [[name, text(value)] for name, value in record.headers]
        held[record.topic].append([record.partition, record.offset, text(record.key), text(record.value), headers])
    return held


def commits(broker: str, group: str) -> list[list[object]]:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        found = admin.list_group_offsets([group])[group]
    return [[part.topic, part.partition, one.offset, one.metadata] for part, one in sorted(found.items())]


def snapshots(broker: str) -> set[int]:
    async def run() -> set[int]:
        return {record.partition async for record in logs.read(Connection(broker), [WINDOW_STATE.name])}

    return asyncio.run(run())


def main(target: Path) -> None:
    events = market()
    first = [event for event in events if event.received_ms < START_MS + READ_SECONDS * 1000]
    names = [topic.name for topic in CATALOGUE]
    with EmbeddedKafka() as kafka, tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "signals.toml"
        rules.write_text(RULES)
        settings = Settings(
            broker=kafka.broker,
            group=GROUP,
            partitions=PARTITIONS,
            snapshot_seconds=2.0,
            resolutions={kind: ["1s"] for kind in KINDS},
            rolling_ms=ROLLING_MS,
            signals=str(rules),
        )
        topics.create(settings)
        with Supervisor(settings, 1, print) as supervisor:
            feed(kafka.broker, first, close=False)
            for topic in (TRADES, QUOTES, POSTS, SLICES):
                until(f"{topic.name} is read", lambda topic=topic: is_read(settings, topic))
            until("each shard has a snapshot", lambda: len(snapshots(kafka.broker)) == PARTITIONS[SLICES.name])
            # So that it goes on past a snapshot.
            supervisor.kill(0)
            supervisor.scale(0)
            feed(kafka.broker, events[len(first) :], close=True)
        made = {
            "group": f"{GROUP}-{settings.epoch}",
            "partitions": {name: topic_partitions(kafka.broker, name) for name in names},
            "configs": configs(kafka.broker, names),
            "commits": commits(kafka.broker, f"{GROUP}-{settings.epoch}"),
            "records": asyncio.run(records(kafka.broker, names)),
        }
    packed = base64.b85encode(lzma.compress(msgspec.json.encode(made), preset=9)).decode()
    target.write_bytes(msgspec.json.encode({"written_by": target.stem, "lzma_base85": packed}) + b"\n")


def topic_partitions(broker: str, name: str) -> int:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        return len(admin.describe_topics([name])[0]["partitions"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

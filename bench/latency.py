"""From an event to the first provisional bar that counts it, at 20,000 events a second, two workers."""

import asyncio
import math
import subprocess
import sys
import time
from collections import defaultdict

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console

from bench import workers
from schemas.topics import BARS, TRADES
from stream.kafka import topics
from stream.settings import Settings

RATE = 20_000
SECONDS = 30
WARM_UP_SECONDS = 8
FLOOR_P50_MS, FLOOR_P99_MS = 50.0, 200.0


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    time_ms: int


class _Bar(msgspec.Struct, gc=False):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    count: int


async def _consumer(broker: str, topic: str) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, auto_offset_reset="latest")
    await consumer.start()
    await consumer._client._wait_on_metadata(topic)
    consumer.assign([TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)])
    return consumer


async def watch(broker: str, seconds: float) -> list[tuple[str, int, int, float]]:
    """Read bars as they come; return (symbol, start, count, seen at) of each."""
    consumer = await _consumer(broker, BARS.name)
    await consumer.seek_to_end()
    decode = msgspec.json.Decoder(_Bar).decode
    shown: list[tuple[str, int, int, float]] = []
    until = time.time() + seconds - 2
    while time.time() < until:
        fetched = await consumer.getmany(timeout_ms=200)
        now_ms = time.time() * 1000
        for records in fetched.values():
            for record in records:
                if b"|all|1s|" in record.key:
                    bar = decode(record.value)
                    shown.append((bar.symbol, bar.start_ms, bar.count, now_ms))
    await consumer.stop()
    return shown


async def sent(broker: str) -> dict[tuple[str, int], list[int]]:
    """Return the event times of each bar's trades, in the order in which they were sent."""
    consumer = await _consumer(broker, TRADES.name)
    partitions = consumer.assignment()
    await consumer.seek_to_beginning()
    ends = await consumer.end_offsets(partitions)
    decode = msgspec.json.Decoder(_Trade).decode
    sent_ms: dict[tuple[str, int], list[int]] = defaultdict(list)
    while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                if record.value is not None:
                    trade = decode(record.value)
                    sent_ms[trade.symbol, trade.time_ms // 1000 * 1000].append(trade.time_ms)
    await consumer.stop()
    return sent_ms


def latencies_ms(
    sent_ms: dict[tuple[str, int], list[int]],
    shown: list[tuple[str, int, int, float]],
    from_ms: float,
    to_ms: float = math.inf,
) -> list[float]:
    """Return, for each event of the seconds that begin between two times, how long until the first bar counted it."""
    counted: dict[tuple[str, int], int] = defaultdict(int)
    latencies = []
    for symbol, start_ms, count, seen_ms in shown:
        times = sent_ms[symbol, start_ms][counted[symbol, start_ms] : count]
        counted[symbol, start_ms] += len(times)
        if from_ms <= start_ms < to_ms:
            latencies += [seen_ms - at for at in times]
    return latencies


def measure(broker: str) -> dict[str, float]:
    topics.create(broker, Settings(broker=broker))
    market = ["simulate", "--rate", str(RATE), "--quotes", "0", "--posts", "0"]
    feed = [sys.executable, "-m", "stream", "--broker", broker, "feed", *market]
    with workers.running(broker, 2):
        feeding = subprocess.Popen([*feed, "--for", str(SECONDS)], stderr=subprocess.DEVNULL)
        warm_ms = (time.time() + WARM_UP_SECONDS) * 1000
        shown = asyncio.run(watch(broker, SECONDS))
        feeding.wait(60)
    latencies = latencies_ms(asyncio.run(sent(broker)), shown, warm_ms)
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    return {"events": len(latencies), "rate": RATE, "p50_ms": p50, "p99_ms": p99}


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["p50_ms"] < FLOOR_P50_MS and figures["p99_ms"] < FLOOR_P99_MS
    console.print(
        f"event to provisional bar of a second at {RATE:,} events a second: p50 {figures['p50_ms']:.0f} ms, "
        f"p99 {figures['p99_ms']:.0f} ms over {figures['events']:,} events; "
        f"floor {FLOOR_P50_MS:g} and {FLOOR_P99_MS:g} ms {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok

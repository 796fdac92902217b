"""Measure the latency from an event to the first provisional bar with it, at 20,000 events per second, two workers."""

import asyncio
import math
import subprocess
import sys
import time
from collections import defaultdict

import msgspec
import numpy as np
from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from rich.console import Console

from bench import workers
from tickertape.schemas.topics import BARS, TRADES
from tickertape.stream.chaos.oracle import logs
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

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


def watch(broker: str, seconds: float) -> list[tuple[str, int, int, float]]:
    """Read bars as they are published; return (symbol, start, count, time of reading) of each, times in ms.

    The reader shares the cores with the workers it measures, so it uses librdkafka, which takes the least CPU time.
    """
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "bench", "enable.auto.commit": False})
    partitions = consumer.list_topics(BARS.name, timeout=10).topics[BARS.name].partitions
    consumer.assign([TopicPartition(BARS.name, number, OFFSET_END) for number in partitions])
    decode = msgspec.json.Decoder(_Bar).decode
    shown: list[tuple[str, int, int, float]] = []
    until = time.time() + seconds - 2
    while time.time() < until:
        message = consumer.poll(0.2)
        if message is not None and not message.error() and b"|all|1s|" in message.key():
            bar = decode(message.value())
            shown.append((bar.symbol, bar.start_ms, bar.count, time.time() * 1000))
    consumer.close()
    return shown


async def sent(broker: str) -> dict[tuple[str, int], list[int]]:
    """Return the event times of each bar's trades, in order of publishing."""
    decode = msgspec.json.Decoder(_Trade).decode
    sent_ms: dict[tuple[str, int], list[int]] = defaultdict(list)
    async for record in logs.read(Connection(broker), [TRADES.name]):
        if record.value is not None:
            trade = decode(record.value)
            sent_ms[trade.symbol, trade.time_ms // 1000 * 1000].append(trade.time_ms)
    return sent_ms


def latencies_ms(
    sent_ms: dict[tuple[str, int], list[int]],
    shown: list[tuple[str, int, int, float]],
    from_ms: float,
    to_ms: float = math.inf,
) -> list[float]:
    """Return how long it took until a bar counted each event, for the seconds that begin between two times."""
    counted: dict[tuple[str, int], int] = defaultdict(int)
    latencies = []
    for symbol, start_ms, count, seen_ms in shown:
        times = sent_ms[symbol, start_ms][counted[symbol, start_ms] : count]
        counted[symbol, start_ms] += len(times)
        if from_ms <= start_ms < to_ms:
            latencies += [seen_ms - at for at in times]
    return latencies


def measure(broker: str) -> dict[str, float]:
    topics.create(Settings(broker))
    market = ["simulate", "--rate", str(RATE), "--quotes", "0", "--posts", "0"]
    feed = [sys.executable, "-m", "tickertape", "--broker", broker, "feed", *market]
    with workers.running(broker, 2):
        feeding = subprocess.Popen([*feed, "--for", str(SECONDS)], stderr=subprocess.DEVNULL)
        warm_ms = (time.time() + WARM_UP_SECONDS) * 1000
        shown = watch(broker, SECONDS)
        feeding.wait(60)
    latencies = latencies_ms(asyncio.run(sent(broker)), shown, warm_ms)
    p50, p99 = np.percentile(latencies, [50, 99]).tolist()
    return {"events": len(latencies), "rate": RATE, "p50_ms": p50, "p99_ms": p99}


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["p50_ms"] < FLOOR_P50_MS and figures["p99_ms"] < FLOOR_P99_MS
    console.print(
        f"event to provisional 1 s bar at {RATE:,} events per second: p50 {figures['p50_ms']:.0f} ms, "
        f"p99 {figures['p99_ms']:.0f} ms over {figures['events']:,} events; "
        f"floor {FLOOR_P50_MS:g} and {FLOOR_P99_MS:g} ms {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok

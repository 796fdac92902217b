"""Measure the latency from an event to the first provisional bar with it, through two workers.

By turns with an echo: a process that only passes the records on. Both have the same feed, broker and reader, all on the
same cores, so the difference is what the pipeline adds.
"""

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import numpy as np
from confluent_kafka import OFFSET_END, Consumer, Message, TopicPartition
from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench import workers
from bench.echo import ECHO, taken
from tickertape.schemas.topics import BARS, TRADES
from tickertape.stream.chaos.oracle import logs
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

RATE = 20_000
SECONDS = 24
WARM_UP_SECONDS = 8
# The least share of the events sent after the warm-up that a bar must have counted.
SURELY = 0.95
# What the pipeline may add to the echo's percentiles.
ADDED_P50_MS, ADDED_P99_MS = 8.0, 40.0
HOPS = ("feed to log", "log to log", "log to reader", "in all")


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    time_ms: int


class _Bar(msgspec.Struct, gc=False):
    symbol: str
    start_ms: int
    count: int


class Seen(NamedTuple):
    """A record that the reader has read: what it is about, and when it was appended and read, ms."""

    what: Any
    appended_ms: int
    read_ms: float


def watch(broker: str, topic: str, seconds: float, decode: Callable[[Message], Any]) -> list[Seen]:
    """Read a topic as it is written. ``decode`` returns None for records that don't matter.

    The reader shares the cores with what it measures, so it uses librdkafka, which takes the least CPU time.
    """
    config = {"bootstrap.servers": broker, "group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 50}
    consumer = Consumer(config)
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_END) for number in partitions])
    shown: list[Seen] = []
    until = time.time() + seconds - 2
    while time.time() < until:
        messages, read_ms = taken(consumer), time.time() * 1000
        found = ((decode(message), message.timestamp()[1]) for message in messages)
        shown += [Seen(what, appended_ms, read_ms) for what, appended_ms in found if what is not None]
    consumer.close()
    return shown


def bars(broker: str, seconds: float) -> list[Seen]:
    """Read the bars of one second, of all sources together, as they are published."""
    decode = msgspec.json.Decoder(_Bar).decode
    return watch(broker, BARS.name, seconds, lambda one: decode(one.value()) if b"|all|1s|" in one.key() else None)


async def sent(broker: str, from_ms: float = 0.0) -> dict[tuple[str, int], list[tuple[int, int]]]:
    """Return, by symbol and second, the event times and append times of trades, in the order of the log, ms."""
    decode = msgspec.json.Decoder(_Trade).decode
    found: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    async for record in logs.read(Connection(broker), [TRADES.name]):
        if record.value is not None:
            trade = decode(record.value)
            if trade.time_ms >= from_ms:
                found[trade.symbol, trade.time_ms // 1000 * 1000].append((trade.time_ms, record.timestamp))
    return found


def by_hop(times: dict[tuple[str, int], list[tuple[int, int]]], shown: list[Seen]) -> NDArray[np.float64]:
    """Return how long each hop took of each event that a bar has counted, ms, shape (n, hops)."""
    counted: dict[tuple[str, int], int] = defaultdict(int)
    rows = []
    for bar, appended_ms, read_ms in shown:
        of = bar.symbol, bar.start_ms
        new = times.get(of, [])[counted[of] : bar.count]
        counted[of] += len(new)
        rows += [(at, logged, appended_ms, read_ms) for at, logged in new]
    moments = np.array(rows, np.float64).reshape(-1, 4)
    return np.column_stack([np.diff(moments), moments[:, 3] - moments[:, 0]])


@contextmanager
def fed(broker: str, rate: int) -> Iterator[float]:
    """Simulate trades; yield the time after the warm-up, ms."""
    market = ["simulate", "--rate", str(rate), "--quotes", "0", "--posts", "0"]
    feed = [sys.executable, "-m", "tickertape", "--broker", broker, "feed", *market, "--for", str(SECONDS)]
    feeding = subprocess.Popen(feed, stderr=subprocess.DEVNULL)
    # Windows that begin after it.
    yield ((time.time() + WARM_UP_SECONDS) // 1 + 1) * 1000
    feeding.wait(60)


def pipeline(broker: str, rate: int) -> NDArray[np.float64]:
    """Return the times of each event by hop, through two workers."""
    with workers.running(broker, 2), fed(broker, rate) as warm_ms:
        shown = bars(broker, SECONDS)
    last_ms = max(seen.what.start_ms for seen in shown)
    times = asyncio.run(sent(broker, warm_ms))
    # The reader may stop within the last second.
    times = {of: these for of, these in times.items() if of[1] < last_ms - 1000}
    found, n = by_hop(times, shown), sum(map(len, times.values()))
    if len(found) < SURELY * n:
        raise SystemExit(f"only {len(found)} of {n} events were found in bars")
    return found


def echo(broker: str, rate: int) -> NDArray[np.float64]:
    """Return the times of each event by hop, through the echo. When it got into the log is known of all together."""
    decode = msgspec.json.Decoder(_Trade).decode
    process = subprocess.Popen([sys.executable, "-m", "bench.echo", broker], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with fed(broker, rate) as warm_ms:
            shown = watch(broker, ECHO, SECONDS, lambda one: decode(one.value()) if one.value() else None)
    finally:
        process.terminate()
        process.wait(10)
    rows = [(seen.what.time_ms, seen.appended_ms, seen.read_ms) for seen in shown if seen.what.time_ms >= warm_ms]
    moments = np.array(rows, np.float64)
    times = asyncio.run(sent(broker, warm_ms))
    logged = np.array([logged - at for these in times.values() for at, logged in these], np.float64)
    n = min(len(moments), len(logged))
    through = moments[:n, 1] - moments[:n, 0]
    return np.column_stack(
        [logged[:n], through - np.median(logged), moments[:n, 2] - moments[:n, 1], moments[:n, 2] - moments[:n, 0]]
    )


def measure(broker: str, rounds: int = 2, rate: int = RATE) -> dict[str, Any]:
    """Return the percentiles of both, from all rounds together."""
    topics.create(Settings(broker))
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.create_topics([NewTopic(ECHO, 4, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
    turns: dict[str, list[NDArray[np.float64]]] = {"echo": [], "pipeline": []}
    for number in range(rounds):
        for name, run in [("echo", echo), ("pipeline", pipeline)][:: 1 if number % 2 == 0 else -1]:
            turns[name].append(run(broker, rate))
    found: dict[str, Any] = {"rate": rate}
    for name, parts in turns.items():
        times = np.concatenate(parts)
        p50, p99 = np.percentile(times, [50, 99], axis=0).tolist()
        found[name] = {"events": len(times), "p50_ms": p50, "p99_ms": p99}
    return found


def show(console: Console, figures: dict[str, Any]) -> bool:
    table = Table(title=f"event to reader at {figures['rate']:,} events per second, ms, p50 and p99")
    for heading in ("", *HOPS):
        table.add_column(heading, justify="right")
    for name in ("echo", "pipeline"):
        pairs = zip(figures[name]["p50_ms"], figures[name]["p99_ms"], strict=True)
        table.add_row(name, *(f"{p50:.0f}  {p99:.0f}" for p50, p99 in pairs))
    console.print(table)
    added_p50, added_p99 = (
        figures["pipeline"][which][-1] - figures["echo"][which][-1] for which in ("p50_ms", "p99_ms")
    )
    ok = bool(added_p50 <= ADDED_P50_MS and added_p99 <= ADDED_P99_MS)
    console.print(
        f"the pipeline adds {added_p50:.0f} ms to the echo's p50 and {added_p99:.0f} ms to its p99, over "
        f"{figures['pipeline']['events']:,} events; floor {ADDED_P50_MS:g} and {ADDED_P99_MS:g} ms "
        f"{'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok

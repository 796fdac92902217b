"""Measure how soon a killed worker publishes again, with 10,000 symbols and an hour of history."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import OffsetSpec
from rich.console import Console

from bench.workers import wait_until_read
from tickertape.schemas.topics import BARS, SLICES, TRADES, WINDOW_STATE
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.simulate.simulated_market import Market
from tickertape.stream.feeds.simulate.simulation import Simulation
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for

SYMBOLS = 10_000
RATE = 1000
SECONDS = 3600
START_MS = 1_700_000_000_000 - 1_700_000_000_000 % 3_600_000
FLOOR_SECONDS = 10.0


def measure(broker: str, seconds: int = SECONDS) -> dict[str, float]:
    topics.create(Settings(broker))
    market = Market(SYMBOLS, RATE, seed=1)
    simulation = Simulation(market, start_ms=START_MS, seconds=seconds, speed=float("inf"))

    async def feed() -> int:
        async with Producer(Connection(broker)) as producer:
            # No closing heartbeat, so that windows stay open.
            return (await simulation.run(producer, close=False)).trades

    figures: dict[str, float] = {}
    with _worker(broker) as worker:
        figures["events"] = asyncio.run(feed())
        figures["symbols"] = len(simulation.ledger.by_symbol())
        wait_until_read(broker, 900)
        _wait_for_snapshots(broker)
        worker.send_signal(signal.SIGKILL)
    end_ms = START_MS + seconds * 1000
    figures["warm_seconds"] = _restart(broker, market.symbols, end_ms)
    figures["cold_seconds"] = _restart(broker, market.symbols, end_ms + 1000, TICKERTAPE_SNAPSHOT_SECONDS="0")
    return figures


@contextmanager
def _worker(broker: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker in slot 0, and kill it at the end of the block."""
    command = [sys.executable, "-m", "tickertape", "--broker", broker, "worker", "--slot", "0"]
    process = subprocess.Popen(command, env=os.environ | environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for_snapshots(broker: str) -> None:
    """Wait until each shard has a snapshot that was written after this call began."""
    with KafkaAdminClient(bootstrap_servers=broker) as admin:

        def ends(name: str) -> list[int]:
            parts = [TopicPartition(name, shard) for shard in range(SLICES.partitions)]
            found = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
            return [found[part].offset for part in parts]

        before = ends(WINDOW_STATE.name)
        while not all(map(int.__gt__, ends(WINDOW_STATE.name), before)):
            time.sleep(0.5)


def _restart(broker: str, symbols: list[str], time_ms: int, **environment: str) -> float:
    """Return how many seconds after its start a worker has published a bar with the newest trade of every symbol."""
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    parts = [TopicPartition(BARS.name, p) for p in range(BARS.partitions)]
    consumer.assign(parts)
    consumer.seek_to_end()
    for part in parts:
        consumer.position(part)
    awaited = set(symbols[::5])

    async def trade() -> None:
        async with Producer(Connection(broker)) as producer:
            partitions = await producer.partitions(TRADES.name)
            for symbol in awaited:
                one = Trade(
                    symbol=symbol,
                    source="binance",
                    id=time_ms,
                    time_ms=time_ms,
                    price=1.0,
                    quantity=1.0,
                    side="buy",
                    received_ms=time_ms,
                )
                partition = partition_for(symbol, partitions)
                producer.send(TRADES.name, partition, symbol.encode(), msgspec.json.encode(one))

    asyncio.run(trade())
    starts = f"|all|1s|{time_ms}"
    began, last_ms = time.time(), 0
    with _worker(broker, **environment):
        while awaited:
            for records in consumer.poll(100).values():
                for record in records:
                    key = record.key.decode()
                    if key.endswith(starts) and key.removesuffix(starts) in awaited:
                        awaited.remove(key.removesuffix(starts))
                        # The append time by the broker's clock, as reading the record takes time too.
                        last_ms = max(last_ms, record.timestamp)
        # Wait for a commit, from which the next worker resumes.
        time.sleep(3)
    consumer.close()
    return last_ms / 1000 - began


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["warm_seconds"] < FLOOR_SECONDS
    console.print(
        f"a killed worker, {figures['symbols']:,.0f} symbols, {figures['events']:,.0f} trades in an hour: "
        f"back after {figures['warm_seconds']:.1f} s, without snapshots {figures['cold_seconds']:.1f} s; "
        f"floor {FLOOR_SECONDS:g} s {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok

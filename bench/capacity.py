"""Measure what docs/capacity.md reckons with and no other bench tells: bytes, the broker's CPU time, and a live worker.

Each figure has the name that it has there.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import psutil
from confluent_kafka import Consumer
from rich.console import Console

from bench import load, workers
from bench.throughput import INPUTS, SPINE
from tickertape.schemas.topics import BARS, INDICATORS, QUOTE_BARS, ROLLING, SIGNALS, SLICES, SOCIAL, TRADES, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

RESULTS = (BARS, QUOTE_BARS, ROLLING, INDICATORS, SOCIAL, SIGNALS)
RECORDS = 500_000
#: The broker is Java, and slow until it has compiled what it does often.
WARM_UP_RECORDS = 500_000
#: Events a second, with a hundred symbols: what one of a hundred workers gets of ten million and of ten thousand.
RATES, SYMBOLS = (20_000, 100_000), 100
#: As many records a second as the lower rate: 45 % trades, 50 % quotes, 5 % posts. Bursts triple the number of posts.
MIX = ["--rate", "9000", "--quotes", str(10_000 / 9_000), "--posts", str(1_000 / 3)]
WARM_UP_SECONDS, SECONDS = 8, 20


class Broker:
    """The embedded broker: its CPU time, and the bytes in its log."""

    def __init__(self, kafka: EmbeddedKafka) -> None:
        assert kafka.pid is not None
        self.address, self.records = kafka.broker, kafka.data / "records"
        self.process = psutil.Process(kafka.pid)

    def cpu_seconds(self) -> float:
        return float(sum(self.process.cpu_times()[:2]))

    def bytes_of(self, topic: Topic) -> int:
        logs = self.records.glob(f"{topic.name}-*/*.log")
        # Only what is written: a log is allocated in advance.
        return sum(path.stat().st_size for path in logs if path.parent.name.removeprefix(f"{topic.name}-").isdigit())


def measure(kafka: EmbeddedKafka) -> dict[str, float]:
    broker = Broker(kafka)
    topics.create(Settings(kafka.broker))
    return _passing(broker) | _live(broker)


def _passing(broker: Broker) -> dict[str, float]:
    """Write and read trades at full speed, one JSON record each."""
    asyncio.run(load.produce(broker.address, load.trades(WARM_UP_RECORDS)))
    size, cpu = broker.bytes_of(TRADES), broker.cpu_seconds()
    asyncio.run(load.produce(broker.address, load.trades(RECORDS)))
    written = broker.cpu_seconds() - cpu
    size = broker.bytes_of(TRADES) - size
    _read(broker.address)
    cpu = broker.cpu_seconds()
    _read(broker.address)
    read = broker.cpu_seconds() - cpu
    return {
        "event_bytes": size / RECORDS,
        "broker_in_us": written / RECORDS * 1e6,
        "broker_out_us": read / (WARM_UP_RECORDS + RECORDS) * 1e6,
    }


def _read(address: str) -> None:
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": f"{time.time()}", "auto.offset.reset": "earliest"}
        | {"enable.auto.commit": False, "queued.min.messages": 1_000_000}
    )
    consumer.subscribe([TRADES.name])
    seen = 0
    while seen < WARM_UP_RECORDS + RECORDS:
        seen += len(consumer.consume(10_000, 1.0))
    consumer.close()


def _live(broker: Broker) -> dict[str, float]:
    """Let a worker read what lies in the topics, and then keep pace with feeds."""
    found = {}
    with workers.running(broker.address, 1, SPINE) as (worker,):
        process = psutil.Process(worker.pid)
        workers.wait_until_read(broker.address, 60)
        found["worker_mib"] = process.memory_info().rss / 2**20
        for rate in RATES:
            took = _at(broker, process, ["--rate", str(rate), "--quotes", "0", "--posts", "0"])
            found |= {f"{name}_{rate // 1000}k": value for name, value in took.items()}
    with workers.running(broker.address, 1) as (worker,):
        took = _at(broker, psutil.Process(worker.pid), MIX)
        found |= {f"{name}_mix_20k": value for name, value in took.items()}
    return found


def _at(broker: Broker, process: psutil.Process, market: Sequence[str]) -> dict[str, float]:
    """Return what a second of a simulated market takes."""
    simulate = ["simulate", "--symbols", str(SYMBOLS), *market]
    feed = [sys.executable, "-m", "tickertape", "--broker", broker.address, "feed", *simulate]
    feeding = subprocess.Popen([*feed, "--for", str(WARM_UP_SECONDS + SECONDS + 3)], stderr=subprocess.DEVNULL)
    time.sleep(WARM_UP_SECONDS)
    before = _state(broker, process)
    time.sleep(SECONDS)
    took = dict(zip(before, np.subtract(list(_state(broker, process).values()), list(before.values())), strict=True))
    feeding.wait(60)
    seconds = took.pop("seconds")
    return {name: value / seconds for name, value in took.items()}


def _state(broker: Broker, process: psutil.Process) -> dict[str, float]:
    return {
        "seconds": time.perf_counter(),
        "worker_share": sum(process.cpu_times()[:2]),
        "broker_share": broker.cpu_seconds(),
        "input_mb": sum(map(broker.bytes_of, INPUTS)) / 1e6,
        "slices_mb": broker.bytes_of(SLICES) / 1e6,
        "results_mb": sum(map(broker.bytes_of, RESULTS)) / 1e6,
    }


def show(console: Console, figures: dict[str, float]) -> None:
    console.print(f"for docs/capacity.md, some of it live with {SYMBOLS} symbols, each second:", highlight=False)
    for name, value in figures.items():
        console.print(f"  {name}: {value:,.3g}", highlight=False)

"""``tickertape feed`` as a process, into a real Kafka."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tickertape.schemas.heartbeat import from_headers
from tickertape.schemas.topics import CONTROL, POSTS, QUOTES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.chaos.oracle.bundles import events_of
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create, describe
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.partition import partition_for

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

COMMAND = [sys.executable, "-m", "tickertape", "feed"]


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """A Kafka whose ``trades`` nobody else writes to."""
    with EmbeddedKafka() as kafka:
        create(Settings(kafka.broker), [TRADES, QUOTES, POSTS, CONTROL])
        yield kafka.broker


@pytest.fixture
def source() -> str:
    return f"sim-{uuid4().hex[:8]}"


def feed(broker: str, *arguments: str | Path) -> subprocess.Popen[str]:
    environ = {**os.environ, "TICKERTAPE_BROKER": broker, "TICKERTAPE_METRICS_PORT": "-1"}
    return subprocess.Popen([*COMMAND, *map(str, arguments)], env=environ, stderr=subprocess.PIPE, text=True)


def trades_of(broker: str, source: str) -> tuple[list[Trade], dict[int, list[int]]]:
    """Return a source's trades, each where its symbol belongs, and by partition the times of its heartbeats."""
    trades, beats = records_of(broker, source)
    assert all(partition_for(trade.symbol, TRADES.partitions) == partition for trade, partition in trades)
    return [trade for trade, _ in trades], beats


def records_of(broker: str, source: str) -> tuple[list[tuple[Trade, int]], dict[int, list[int]]]:
    """Return a source's trades with their partitions, and by partition the times of its heartbeats."""

    async def read() -> tuple[list[tuple[Trade, int]], dict[int, list[int]]]:
        trades: list[tuple[Trade, int]] = []
        beats: dict[int, list[int]] = {}
        consumer = AIOKafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
        await consumer.start()
        try:
            where = [TopicPartition(TRADES.name, partition) for partition in range(TRADES.partitions)]
            consumer.assign(where)
            for place, end in (await consumer.end_offsets(where)).items():
                while await consumer.position(place) < end:
                    for record in (await consumer.getmany(place, timeout_ms=500)).get(place, []):
                        if record.value is None:
                            beat = from_headers(record.headers)
                            if beat is not None and beat.source == source:
                                beats.setdefault(place.partition, []).append(beat.time_ms)
                            continue
                        events = events_of(record.value, dict(record.headers))
                        found = [record.value] if events is None else map(msgspec.json.encode, events)
                        each = [msgspec.json.decode(value, type=Trade) for value in found]
                        trades += [(trade, place.partition) for trade in each if trade.source == source]
        finally:
            await consumer.stop()
        return trades, beats

    return asyncio.run(read())


def written(broker: str) -> int:
    """Return how many records ``trades`` has had."""
    return sum(state.end for state in describe(Settings(broker), [TRADES])[0].partitions)


@pytest.mark.parametrize("bundles", [(), ("--bundle", "20ms")], ids=["records", "bundles"])
def test_a_simulated_market_arrives_as_its_ledger_has_it(
    broker: str, source: str, tmp_path: Path, bundles: tuple[str, ...]
) -> None:
    ledger, before = tmp_path / "ledger.json", written(broker)
    options = ["--for", "2.5", "--rate", "5000", "--source", source, "--ledger", ledger, *bundles]
    process = feed(broker, "simulate", *options)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    trades, beats = trades_of(broker, source)
    records = written(broker) - before - sum(map(len, beats.values()))
    assert records < len(trades) / 5 if bundles else records == len(trades)
    assert json.loads(ledger.read_text()) == {
        "trades": len(trades),
        "by_symbol": Counter(trade.symbol for trade in trades),
    }
    # And about as many quotes, and some posts.
    assert re.search(rf"^{len(trades):,} trades, [\d,]+ quotes, .* sent and acknowledged", shown, re.MULTILINE)
    # In every partition: one before the first event, two a second apart, and the last.
    assert set(beats) == set(range(TRADES.partitions))
    assert min(map(len, beats.values())) >= 4
    assert all(times == sorted(times) for times in beats.values())


@pytest.mark.parametrize(
    ("number", "bundles"), [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGTERM, ("--bundle", "0.5s"))]
)
def test_a_signal_ends_it_with_all_sent_and_the_ledger_written(
    broker: str, source: str, tmp_path: Path, number: signal.Signals, bundles: tuple[str, ...]
) -> None:
    ledger = tmp_path / "ledger.json"
    process = feed(broker, "simulate", "--rate", "5000", "--source", source, "--ledger", ledger, *bundles)
    until = time.monotonic() + 30
    while not trades_of(broker, source)[0]:
        assert time.monotonic() < until, process.poll()
    process.send_signal(number)
    _, shown = process.communicate(timeout=30)
    assert process.returncode == 0, shown
    assert "then stopped" in shown
    trades, _ = trades_of(broker, source)
    assert trades
    assert json.loads(ledger.read_text())["trades"] == len(trades)


def test_a_file_arrives_in_order_and_what_was_skipped_is_told(broker: str, source: str, tmp_path: Path) -> None:
    trades = [
        Trade(symbol="A-B", source=source, id=n, time_ms=1_723_161_600_000 + n, price=1.5, quantity=2.0, side="sell")
        for n in range(5000)
    ]
    path = tmp_path / "trades.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, trades)) + b"\n{oops\n")
    process = feed(broker, "file", path, "--format", "jsonl", "--speed", "max")
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    arrived, beats = trades_of(broker, source)
    assert arrived == trades
    assert {times[-1] for times in beats.values()} == {trades[-1].time_ms}
    assert "5,000 trades; 1 bad line" in shown
    assert f"{path}:5001: " in shown


def test_a_spread_is_a_symbol_and_a_number(broker: str) -> None:
    process = feed(broker, "simulate", "--events", "1", "--spread", "BTC-USD=0")
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "'BTC-USD=0' is not SYMBOL=N, for example BTC-USDT=4" in shown


def test_a_hot_symbol_is_spread(broker: str, source: str) -> None:
    history = ["--events", "2000", "--symbols", "2", "--start-ms", "1723161600000", "--speed", "max", "--quotes", "0"]
    process = feed(broker, "simulate", *history, "--spread", "BTC-USD=3", "--source", source)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 0, shown
    places: dict[str, set[int]] = {}
    for trade, partition in records_of(broker, source)[0]:
        places.setdefault(trade.symbol, set()).add(partition)
    home = partition_for("BTC-USD", TRADES.partitions)
    assert places == {
        "BTC-USD": {(home + n) % TRADES.partitions for n in range(3)},
        "ETH-USD": {partition_for("ETH-USD", TRADES.partitions)},
    }


def test_what_its_user_can_mend_is_one_line(broker: str, tmp_path: Path) -> None:
    process = feed(broker, "file", tmp_path / "nothing.gz")
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 3
    assert shown == f"tickertape: {tmp_path}/nothing.gz: No such file or directory\n"

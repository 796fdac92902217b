"""The command on a real Kafka: a table for each topic, of which the valid record of each result counts."""

import asyncio
import json
import subprocess
import sys
import time

import msgspec
import pyarrow as pa
import pytest

from tickertape.agents.market.bars import Bar
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = pytest.mark.kafka

NOW_MS = int(time.time()) * 1000


def bar(symbol: str, ago_ms: int, high: float, *, final: bool, revision: int) -> Bar:
    values = dict.fromkeys(Bar.__struct_fields__, 0) | {"symbol": symbol, "source": "all", "incomplete": False}
    return Bar(
        **values | {"resolution": "1s", "start_ms": NOW_MS - ago_ms, "high": high, "final": final, "revision": revision}
    )


def command(broker: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-m", "tickertape", "--broker", broker, "sql", *words]
    return subprocess.run(program, check=False, capture_output=True, timeout=200)


async def _publish(settings: Settings, *bars: Bar) -> None:
    async with Producer(settings) as producer:
        for one in bars:
            key = f"{one.symbol}|{one.source}|{one.resolution}|{one.start_ms}".encode()
            producer.send("bars", 0, key, msgspec.json.encode(one))
        await producer.flush()


def test_it_answers_from_the_topics() -> None:
    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker)
        topics.create(settings)
        asyncio.run(
            _publish(
                settings,
                bar("BBB", 7_200_000, 9.0, final=True, revision=1),  # two hours ago
                bar("AAA", 60_000, 1.0, final=False, revision=1),
                bar("AAA", 60_000, 5.0, final=True, revision=2),  # it takes the place of the first
                bar("AAA", 1_000, 3.0, final=False, revision=1),
                bar("BBB", 1_000, 7.0, final=True, revision=1),
            )
        )
        query = "select symbol, max(high) as high, count(*) as n from bars group by symbol order by symbol"
        found = command(embedded.broker, "--format", "json", query)
        assert [json.loads(line) for line in found.stdout.splitlines()] == [
            {"symbol": "AAA", "high": 5.0, "n": 2},
            {"symbol": "BBB", "high": 7.0, "n": 1},
        ]
        finals = command(embedded.broker, "--format", "csv", "--finals", "--hours", "3", query)
        assert finals.stdout.split() == [b"symbol,high,n", b"AAA,5.0,1", b"BBB,9.0,2"]
        arrow = command(embedded.broker, "--format", "arrow", "--rows", "1", query)
        assert pa.ipc.open_stream(arrow.stdout).read_all().to_pylist() == [{"symbol": "AAA", "high": 5.0, "n": 2}]
        assert arrow.stderr == b"only the first 1 rows; --rows gives more\n"
        listed = command(embedded.broker, "--format", "csv", "show tables").stdout.split()
        assert {b"bars", b"quote_bars", b"indicators", b"signals"} <= set(listed)
        wrong = command(embedded.broker, "drop table bars")
        assert (wrong.returncode, wrong.stderr) == (2, b"tickertape: sql: it has to be a query, such as select\n")

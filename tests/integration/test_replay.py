"""What the workers make of a log, a replay of that log makes too, to the last bit; and `verify` finds what is wrong."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from tests.integration.running import all_final, feed, put, running, tallies
from tests.replay.generated import START_MS, trades
from tickertape.agents.market.bars import Bar
from tickertape.schemas.topics import BARS
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.replay import logs

pytestmark = pytest.mark.kafka


def command(broker: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickertape", "--broker", broker, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


def plant(broker: str, bar: Bar) -> None:
    async def run() -> None:
        async with Producer(Connection(broker)) as producer:
            key = f"{bar.symbol}|{bar.source}|{bar.resolution}|{bar.start_ms}".encode()
            partition = partition_for(bar.symbol, BARS.partitions)
            producer.send(BARS.name, partition, key, msgspec.json.encode(bar))

    asyncio.run(run())


def test_a_log_is_read_up_to_where_it_was_to_end(own_kafka: str) -> None:
    async def read(start: int, end: int) -> list[tuple[int, int, list[int]]]:
        blocks = logs.of_topic(logs.OfTopic(Connection(own_kafka), start, end), "trades", 0, 10, 1 << 20)
        return [(block.start, block.end, block.offsets.tolist()) async for block in blocks]

    with running(own_kafka, workers=1, partitions={"trades": 1}):
        put(own_kafka, [(0, b"%d" % i, ()) for i in range(100)])
        assert asyncio.run(read(7, 25)) == [(7, 17, [*range(7, 17)]), (17, 25, [*range(17, 25)])]
        assert asyncio.run(read(0, 0)) == []


def test_a_replay_of_the_topic_is_what_the_workers_published(own_kafka: str, tmp_path: Path) -> None:
    sent = trades(4000)
    with running(own_kafka, workers=2) as (settings, _):
        put(own_kafka, [(1, b"no trade", ())])
        feed(own_kafka, sent)
        held = all_final(settings)
        total = tallies(settings)

        done = command(own_kafka, "replay", "--topic", "trades", "--out", str(tmp_path))
        assert done.returncode == 0, done.stderr
        replayed = {
            f"{row['symbol']}|{row['source']}|{row['resolution']}|{row['start_ms']}": Bar(**row)
            for row in pq.read_table(tmp_path / "bars.parquet").to_pylist()
        }
        assert replayed == held
        assert (total["rejected"], total["repeated"] > 0, total["late"] > 0) == (1, True, True)
        read = sum(total.values())
        terms = " + ".join(f"{name} {total[name]:,}" for name in list(total)[:6])
        assert f"read {read:,} = {terms}\n" in done.stdout
        assert pq.read_table(tmp_path / "late.parquet").num_rows == total["late"]
        assert pq.read_table(tmp_path / "dead-letters.parquet")["value"].to_pylist() == [b"no trade"]

        verified = command(own_kafka, "verify")
        assert verified.returncode == 0, verified.stderr
        assert verified.stdout.splitlines()[0] == f"{len(held):,} bars agree"

        start_ms = START_MS + 5000
        bar = held[f"BTC-USD|all|1s|{start_ms}"]
        plant(own_kafka, replace(bar, high=bar.high + 1, revision=bar.revision + 1))
        verified = command(own_kafka, "verify", "--processes", "1")
        assert verified.returncode == 6
        assert verified.stdout.splitlines()[0] == f"{len(held) - 1:,} bars agree"
        (line,) = [line for line in verified.stderr.splitlines() if line.startswith("tickertape:")]
        assert line.startswith(f"tickertape: bars: BTC-USD|all|1s|{start_ms}: high is {bar.high + 1!r} on the sink")
        assert line.endswith(f"and {bar.high!r} in the replay")

"""Every example runs, and says what it should."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from tickertape.agents.market.bars import Bar
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.partition import partition_for

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
START_MS = 1_700_000_000_000

SAID = {
    "windowed_metric.py": "all 1h 0.5\nsim 1h 0.5\nall 1m 0.5\nsim 1m 0.5\nall 1s 0.5\nsim 1s 0.5\n",
    # Closes 100, 101, 102: fast 100, 100.1538, 100.4379; slow 100, 100.0741, 100.2168.
    "recursion.py": "0.0000 0.0000\n0.0798 0.0160\n0.2211 0.0570\n",
    # A trade each 20 s: the minute that ends with the fourth no longer has the first.
    "rolling_window.py": "100.0 100.0 100.0\n101.0 201.0 201.0\n102.0 303.0 303.0\n103.0 306.0 406.0\n",
    "own_topic.py": "/home all 1h 5 3 200.0\n/home web 1h 5 3 200.0\n/home all 1m 5 3 200.0\n/home web 1m 5 3 200.0\n",
    "signal_rule.py": "breakout all 1000 103.0 True\nbreakout all 4000 105.0 True\n",
}
# What needs a pipeline, or a server; each has a test of its own below.
OTHERS = {"feed.py", "file_format.py", "follow_results.py", "results_to_polars.py", "sink_to_sqlite.py"}


def run(*words: str | Path, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, *words], check=False, capture_output=True, text=True, timeout=120, env=os.environ | environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_is_run_by_a_test_and_named_in_their_page() -> None:
    files = {path.name for path in EXAMPLES.glob("*.py")}
    assert files == {*SAID, *OTHERS, "test_windowed_metric.py"}
    page = (EXAMPLES / "README.md").read_text()
    assert all(f"[{name}]({name})" in page for name in files)
    assert all(len((EXAMPLES / name).read_text().splitlines()) <= 90 for name in files)


@pytest.mark.parametrize("name", SAID)
def test_it_says_what_it_should(name: str) -> None:
    assert run(EXAMPLES / name) == SAID[name]


def test_the_test_of_a_metric_passes() -> None:
    assert "2 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", EXAMPLES)


def test_a_csv_is_replayed(tmp_path: Path) -> None:
    lines = ["time_ms,symbol,id,price,quantity,side"]
    lines += [f"{START_MS + 100 * n},BTC-USD,{n},{100 + n},1,buy" for n in range(5)]
    (tmp_path / "trades.csv").write_text("\n".join(lines))
    said = run(
        *("-m", "tickertape", "--agents", EXAMPLES, "replay", "--format", "csv-trades"),
        *("--out", tmp_path / "out", tmp_path / "trades.csv"),
    )
    assert "counted 5" in said
    import pyarrow.parquet as pq

    bars = pq.read_table(tmp_path / "out" / "bars.parquet").to_pylist()
    assert {bar["close"] for bar in bars} == {104.0}
    # The metrics of the folder are computed too.
    assert (tmp_path / "out" / "imbalance.parquet").exists()


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with EmbeddedKafka() as embedded:
        settings = Settings(broker=embedded.broker)
        topics.create(settings)
        asyncio.run(publish(settings, range(12)))
        yield settings


async def publish(settings: Settings, seconds: range) -> None:
    async with Producer(settings) as producer:
        for second in seconds:
            for resolution in ("1s", "1m"):
                held = {"symbol": "BTC-USD", "source": "all", "resolution": resolution, "close": float(second)}
                more = {"start_ms": START_MS + 60_000 * second, "low": 100.0, "high": 101.0 + second, "final": True}
                values = dict.fromkeys(Bar.__struct_fields__, 0) | held | more | {"incomplete": False}
                key = f"BTC-USD|all|{resolution}|{values['start_ms']}".encode()
                producer.send("bars", partition_for("BTC-USD", 4), key, msgspec.json.encode(Bar(**values)))
        await producer.flush()


@pytest.mark.kafka
def test_a_database_has_each_result_once_also_after_a_restart(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "bars.sqlite"
    for most in ("5", "7"):
        run(EXAMPLES / "sink_to_sqlite.py", path, most, TICKERTAPE_BROKER=settings.broker)
    with sqlite3.connect(path) as database:
        closes = [close for (close,) in database.execute("select close from bars order by start_ms")]
    assert closes == [float(second) for second in range(12)]


@pytest.mark.kafka
def test_results_are_followed(settings: Settings) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", EXAMPLES / "follow_results.py"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"TICKERTAPE_BROKER": settings.broker},
    )
    assert process.stdout is not None
    try:
        # It begins with what comes from now on: publish until it has seen ten.
        for first in range(100, 400, 10):
            asyncio.run(publish(settings, range(first, first + 10)))
            if process.poll() is not None:
                break
            try:
                process.wait(2)
                break
            except subprocess.TimeoutExpired:
                continue
        lines = process.stdout.read().splitlines()
    finally:
        process.kill()
        process.wait()
    assert len(lines) == 10
    assert all(line.startswith("BTC-USD ") for line in lines)


@pytest.mark.kafka
def test_a_topic_becomes_a_frame(settings: Settings) -> None:
    # Bars of the last hour: there are none but for what is published now.
    import time

    start = int(time.time() * 1000) // 60_000 - START_MS // 60_000
    asyncio.run(publish(settings, range(start - 2, start)))
    said = run(EXAMPLES / "results_to_polars.py", TICKERTAPE_BROKER=settings.broker)
    assert said.startswith("shape: (2, 5)")


@pytest.mark.kafka
def test_the_feed_sends_what_an_exchange_says(settings: Settings) -> None:
    asked = []

    async def exchange(line: ServerConnection) -> None:
        asked.append(msgspec.json.decode(await line.recv()))
        await line.send('{"type":"subscriptions","channels":[]}')
        await line.send(
            '{"type":"match","trade_id":7,"product_id":"BTC-USD","price":"100.5","size":"2","side":"sell",'
            '"time":"2023-11-14T22:13:20.5Z"}'
        )
        await line.wait_closed()

    async def first() -> Trade:
        async with Reader(settings, ["trades"], from_beginning=True) as reader:
            while True:
                for record in await reader.read():
                    if record.value:
                        return msgspec.json.decode(record.value, type=Trade)

    async def feed() -> Trade:
        async with serve(exchange, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            environ = environment(settings) | {"TICKERTAPE_MYCOINBASE_URL": f"ws://127.0.0.1:{port}"}
            words = ("-m", "tickertape", "--agents", str(EXAMPLES), "feed", "mycoinbase", "BTC-USD")
            process = await asyncio.create_subprocess_exec(sys.executable, *words, env=environ)
            try:
                return await asyncio.wait_for(first(), 60)
            finally:
                process.terminate()
                await process.wait()

    trade = asyncio.run(feed())
    assert asked[0]["product_ids"] == ["BTC-USD"]
    assert (trade.symbol, trade.source, trade.id, trade.price) == ("BTC-USD", "mycoinbase", 7, 100.5)
    assert (trade.time_ms, trade.side) == (START_MS + 500, "buy")

"""``tickertape backfill`` as a process, into a real Kafka: files, what it refuses, and how it says so."""

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from tests.integration.test_history import on_topic
from tickertape.schemas.topics import CONTROL, INSTRUMENTS, POSTS, QUOTES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.feeds.exchanges.binance import Binance, BinanceSettings
from tickertape.stream.feeds.exchanges.feeding import names_of
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.stores.control import Control

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

T = 1_723_161_600_000


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with EmbeddedKafka() as kafka:
        create(Settings(kafka.broker), [TRADES, QUOTES, POSTS, INSTRUMENTS, CONTROL])
        yield kafka.broker


@pytest.fixture
def name() -> str:
    return f"x-{uuid4().hex[:8]}"


def run(broker: str, *words: str | Path, **settings: str) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it said."""
    environ = os.environ | {"TICKERTAPE_BROKER": broker, "TICKERTAPE_METRICS_PORT": "-1"}
    environ |= {f"TICKERTAPE_{key}".upper(): value for key, value in settings.items()}
    command = [sys.executable, "-m", "tickertape", *map(str, words)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def row(number: int, price: str = "100.5") -> str:
    return f"{number},{price},0.25,25.125,{T + 1000 * number},True,True\n"


def sent(broker: str, name: str) -> list[Trade]:
    return [one for one in on_topic(broker) if one.source == name]


def complete(broker: str, name: str) -> dict[str, tuple[int, int]]:
    async def read() -> dict[str, tuple[int, int]]:
        async with Control(Settings(broker)) as control:
            return control.complete(name)

    return asyncio.run(read())


def test_a_file_that_is_wrong_ends_it_and_once_mended_it_goes_on(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    rows = [row(number) for number in range(3000)]
    path.write_text("".join([*rows[:2500], "2500,abc,1,1,1,True,True\n", *rows[2501:]]))
    words = ("backfill", "--file", path, "--as", name)
    code, _, said = run(broker, *words)
    assert code == 3
    assert f"tickertape: {path}:2501: Expected `float`, got `str` in column price" in said
    assert [one.id for one in sent(broker, name)] == list(range(2000))
    path.write_text("".join(rows))
    code, out, said = run(broker, *words)
    assert (code, "1,000 trades sent" in said) == (0, True), said
    assert "BTC-USDT: complete up to id 2999 of 2024-08-09 00:49:59 UTC" in out
    assert [one.id for one in sent(broker, name)] == list(range(3000))
    assert complete(broker, name) == {"BTC-USDT": (2999, T + 2_999_000)}
    assert "nothing sent" in run(broker, *words)[2]


def test_a_file_that_is_cut_off_ends_it(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv.gz"
    whole = gzip.compress("".join(map(row, range(20_000))).encode())
    path.write_bytes(whole[: len(whole) // 2])
    code, _, said = run(broker, "backfill", "--file", path, "--as", name)
    assert code == 3
    assert "is cut off after this line" in said
    path = tmp_path / "x.jsonl.gz"
    line = {"symbol": "A-B", "source": "x", "time_ms": T, "price": 1.5, "quantity": 2.5}
    whole = gzip.compress("".join(json.dumps(line | {"id": n}) + "\n" for n in range(20_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    code, _, said = run(broker, "backfill", "--file", path, "--format", "jsonl", "--as", f"{name}-2")
    assert code == 3
    read = {one.id for one in sent(broker, f"{name}-2")}
    # What was read is sent up to the last whole batch.
    ((line,),) = [re.findall(rf"tickertape: {path}:(\d+): is cut off after this line", said)]
    assert read == set(range(int(line) // 1000 * 1000))


def test_digits_arrive_as_they_are_in_the_file(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    path.write_text(row(1, "100.123456789012345678"))
    assert run(broker, "backfill", "--file", path, "--as", name, binance_decimals="true")[0] == 0
    assert b'"price":100.123456789012345678' in raw(broker, name)
    columns = {"symbol": ["A-B"], "source": [f"{name}-p"], "id": [1], "time_ms": [T], "quantity": [1.0]}
    price = pa.array(["100.123456789012345678"]).cast(pa.decimal128(30, 18))
    pq.write_table(pa.table(columns | {"price": price}), tmp_path / "x.parquet")
    assert run(broker, "backfill", "--file", tmp_path / "x.parquet", "--format", "parquet")[0] == 0
    assert b'"price":100.123456789012345678' in raw(broker, f"{name}-p")


def raw(broker: str, name: str) -> bytes:
    from tests.integration.running import read

    found = [value for _, value in read(broker, TRADES.name) if value and f'"{name}"'.encode() in value]
    return b"\n".join(found)


def test_event_time_does_not_go_back(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    later = {"symbol": "A-B", "source": name, "id": 1, "time_ms": T + 9_000_000, "price": 1.5, "quantity": 2.5}
    path.write_text(json.dumps(later) + "\n")
    assert run(broker, "feed", "file", path, "--format", "jsonl", "--no-close")[0] == 0
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    path.write_text(row(1))
    code, _, said = run(broker, "backfill", "--file", path, "--as", name)
    assert code == 2
    assert said.splitlines()[-1] == (
        f"tickertape: {name} is in the log up to 2024-08-09 02:30:00 UTC, and its event time can't go back to "
        f"2024-08-09 00:00:01 UTC. Send this under another name, such as with --as {name}-history"
    )
    assert [one.id for one in sent(broker, name)] == [1]
    assert run(broker, "backfill", "--file", path, "--as", f"{name}-history")[0] == 0
    assert [one.symbol for one in sent(broker, f"{name}-history")] == ["BTC-USDT"]


def test_once_a_feed_has_gone_on_it_does_not(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    path.write_text(row(1))
    assert run(broker, "backfill", "--file", path, "--as", name)[0] == 0

    async def live() -> None:
        from tickertape.stream.kafka.clients.producer import Producer
        from tickertape.stream.kafka.stores.control import write_complete

        async with Producer(Settings(broker)) as producer:
            write_complete(producer, name, {"BTC-USDT": (2, T + 2000)})

    asyncio.run(live())
    path.write_text(row(1) + row(2) + row(3))
    code, _, said = run(broker, "backfill", "--file", path, "--as", name)
    assert code == 2
    assert "Its past trades were sent from 2024-08-09 00:00:01 UTC on." in said


def test_ids_that_are_texts_are_refused(broker: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    trade = {"symbol": "A-B", "source": name, "id": "a-1", "time_ms": T, "price": 1.5, "quantity": 2.5}
    path.write_text(json.dumps(trade) + "\n")
    code, _, said = run(broker, "backfill", "--file", path, "--format", "jsonl")
    assert code == 3
    assert f"{name}: A-B: id 'a-1' is no number, so nobody could go on after it" in said


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["BTCUSDT", "--from", "2024-01-01"], 2, "name either an exchange's feed with --source, or files with --file"),
        (["--source", "binance", "--from", "2024-01-01"], 2, "name symbols"),
        (["BTCUSDT", "--source", "binance"], 2, "name symbols, and with --from the time to begin at"),
        (["BTCUSDT", "--source", "nobody", "--from", "2024-01-01"], 2, "--source nobody: no such feed; there are"),
        (["BTCUSDT", "--source", "binance", "--from", "2024-01-01", "--to", "2023-01-01"], 2, "not before --to"),
        (["BTCUSDT", "--source", "binance", "--from", "yesterday"], 2, "'yesterday' is no time, such as 2026-01-02"),
        (["BTCUSDT", "--source", "binanceusdm", "--from", "2024-01-01"], 2, "can't be asked for by number"),
        (["BTC-USD", "--source", "kraken", "--from", "2024-01-01"], 2, "can't be asked for by number"),
        (["BTCUSDT", "--file", "x.csv"], 2, "leave the symbols out"),
        (["--file", "nowhere-trades-1.csv"], 3, "nowhere-trades-1.csv: No such file or directory"),
        (["--file", "x.csv", "--format", "cobol"], 2, "--format cobol: no such format"),
    ],
)
def test_what_is_asked_for_wrongly(words: list[str], code: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCEUSDM_INFO_URL", "")
    monkeypatch.setitem(os.environ, "TICKERTAPE_KRAKEN_INFO_URL", "")
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCE_REFILL", "true")
    done = CliRunner().invoke(cli, ["--broker", "127.0.0.1:9", "backfill", *words])
    if isinstance(done.exception, TickertapeError):
        assert (done.exception.exit_code, reason in str(done.exception)) == (code, True), done.exception
    else:
        assert (done.exit_code, reason in done.output) == (code, True), done.output


def test_aggregates_are_not_mixed_with_files_of_single_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCE_REFILL", "true")
    monkeypatch.setitem(os.environ, "TICKERTAPE_BINANCE_CHANNELS", "aggregates")
    words = ["backfill", "BTCUSDT", "--source", "binance", "--from", "2024-01-01"]
    done = CliRunner().invoke(cli, ["--broker", "127.0.0.1:9", *words])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == (
        "--source binance: its past trades can't be asked for by number, or the settings binance_refill and "
        "binance_channels leave them out; send files with --file"
    )
    source = Binance(BinanceSettings(channels="aggregates"), ("BTCUSDT",), names_of("binance", ""), "binance")
    assert source.archive("BTC-USDT", date(2024, 1, 1)) is None

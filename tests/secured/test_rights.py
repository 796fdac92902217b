"""A process works with the rights that docs/security.md lists for it, and names the one that it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.topics import CATALOGUE, TRADES
from stream.connection import Connection
from stream.kafka import topics
from stream.settings import Settings
from tests.secured.broker import SCRAM_PASSWORD, Right, SecuredKafka

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

    def run(self, user: str, *words: str, code: int = 0) -> str:
        """Run it to its end, and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "stream", *words],
            env=environ(self._kafka.user(user), self._tmp_path),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert SCRAM_PASSWORD not in done.stdout + done.stderr
        return done.stdout if not code else done.stderr


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


def test_the_right_that_is_missing_is_named(locked: SecuredKafka, processes: Processes) -> None:
    broker = locked.add("nobody", []).broker
    assert processes.run("nobody", "demo", "--for", "5", code=7) == (
        f"tickertape: Kafka at {broker} doesn't let user nobody do that: it takes Describe on group "
        "tickertape-1000-5000; docs/security.md lists the rights that each process needs\n"
    )


def administrator(kafka: SecuredKafka) -> Settings:
    return Settings(**{name: getattr(kafka.admin, name) for name in Connection.__struct_fields__})

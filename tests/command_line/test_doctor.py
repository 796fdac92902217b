"""The doctor: what it says of a pipeline that is well, and of what is wrong with another."""

import json
import os
import subprocess
import sys

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from msgspec.structs import replace

from tickertape.stream.command_line.doctor import contradictions
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lateness_ms": {"trade": 1}}, "lateness_ms names an unknown topic: trade"),
        ({"partitions": {"bar": 1}}, "partitions names an unknown topic: bar"),
        ({"snapshot_seconds": 0.0}, "snapshot_seconds is 0"),
        ({"idle_seconds": 5.0}, "idle_seconds 5 is not above session_seconds 8"),
        ({"commit_seconds": 9.0}, "commit_seconds 9 is not below session_seconds 8"),
        ({"lateness_ms": {"trades": 61_000}}, "lateness_ms of trades is 61000 and horizon_ms 60000"),
        ({"rolling_ms": {"odd": 1500}}, "rolling_ms.odd is 1500"),
        ({"agents": ["no.such"]}, "agents in 'no.such' can't be imported"),
        ({"signals": "no-such.toml"}, "no-such.toml"),
        ({"resolutions": {"ema": ["7s"]}}, "no resolution 7s"),
    ],
    ids=str,
)
def test_settings_that_contradict_each_other(changes: dict[str, object], said: str) -> None:
    found = list(contradictions(replace(Settings(), **changes)))
    assert len(found) == 1
    assert said in found[0][0]


def test_the_defaults_do_not() -> None:
    assert list(contradictions(Settings())) == []


def doctor(broker: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TICKERTAPE_BROKER": broker}
    command = [sys.executable, "-m", "tickertape", "doctor", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=100)


def test_without_a_broker_it_says_so_in_bounded_time() -> None:
    done = doctor("127.0.0.1:9")
    assert done.returncode == 6
    assert "WRONG   broker: no Kafka answers at 127.0.0.1:9" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
def test_a_pipeline_that_is_well_and_one_that_is_not() -> None:
    with EmbeddedKafka() as embedded:
        done = doctor(embedded.broker)
        assert "WRONG   topics: missing: trades, quotes" in done.stdout
        subprocess.run(
            [sys.executable, "-m", "tickertape", "--broker", embedded.broker, "topics", "create"],
            check=True,
            capture_output=True,
        )
        done = doctor(embedded.broker, "--json")
        assert done.returncode == 0, done.stdout
        found = {one["what"]: one for one in json.loads(done.stdout)}
        machine, pipeline = ["python", "hot path", "memory", "disk"], ["topics", "lag", "group", "clock"]
        assert list(found) == [*machine, "settings", "broker", *pipeline]
        assert found["clock"]["state"] == "ok"
        with KafkaAdminClient(bootstrap_servers=embedded.broker) as admin:
            wrong = {"cleanup.policy": "compact,delete"}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "bars", wrong)])
        done = doctor(embedded.broker)
        assert done.returncode == 6
        assert "WRONG   topics: bars: cleanup.policy is compact,delete but should be delete: compaction" in done.stdout
        checked = [sys.executable, "-m", "tickertape", "--broker", embedded.broker, "topics", "check"]
        assert subprocess.run(checked, check=False, capture_output=True).returncode == 6
        assert subprocess.run([*checked, "--mend"], check=False, capture_output=True).returncode == 0
        assert subprocess.run(checked, check=False, capture_output=True).returncode == 0

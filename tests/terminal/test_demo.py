"""``tickertape demo``, all of it: a Kafka of its own, two workers, one of them killed, and nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tickertape.schemas.topics import TRADES

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_the_demo_balances_and_leaves_nothing(tmp_path: Path) -> None:
    summary, temporary = tmp_path / "summary.json", tmp_path / "tmp"
    temporary.mkdir()
    environ = {name: text for name, text in os.environ.items() if not name.startswith("TICKERTAPE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tickertape", "demo", "--for", "15", "--rate", "2000", "--summary", str(summary)],
        env=environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said, children = [], []
    for line in process.stdout:
        said.append(line.rstrip())
        if "(kill -9), which owned" in line:
            children = psutil.Process(process.pid).children(recursive=True)
    assert process.wait(30) == 0, said
    found = json.loads(summary.read_text())
    assert found["ok"]
    assert (found["lost"], found["doubled"], found["broken"]) == (0, 0, [])
    assert found["events"] == found["tallies"]["counted"] > 20_000
    assert found["read"] == sum(found["tallies"].values())
    assert found["tallies"]["heartbeats"] > 0
    assert 15 <= found["seconds"] < 40
    assert found["events_per_second"] == pytest.approx(found["events"] / found["seconds"], rel=1e-3)
    assert found["bars"] > 200
    assert 0 < found["latency_p50_ms"] <= found["latency_p99_ms"] < 1000
    assert 0 < found["takeover_seconds"] < 15
    assert (found["workers"], found["partitions"]) == (2, TRADES.partitions)
    assert any("were taken over after" in line for line in said)
    assert said[-1] == "lost 0, doubled 0"
    assert "\x1b" not in "".join(said)
    assert len(children) >= 5
    assert not any(child.is_running() for child in children)
    assert not list(temporary.iterdir())

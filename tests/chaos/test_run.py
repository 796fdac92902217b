"""``tickertape chaos``, for a short while: workers, broker and a feed killed, a zombie, partitions added."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(480)]

# `stall` finds commits that come before what they speak of is out; `freeze`, zombies; `forget`, commits to be refused.
FAULTS = ("kill", "freeze", "forget", "broker-kill", "grow", "feed-kill", "stall")


def chaos(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tickertape", "chaos", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_short_run_is_true_to_the_last_bar_and_leaves_nothing(tmp_path: Path) -> None:
    summary, temporary = tmp_path / "summary.json", tmp_path / "tmp"
    temporary.mkdir()
    kinds = [word for fault in FAULTS for word in ("--fault", fault)]
    run = chaos(
        "--seed", "3", "--minutes", "0.4", "--busy", "1", *kinds, "--summary", str(summary), TMPDIR=str(temporary)
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads(summary.read_text())
    assert found["ok"]
    assert found["differences"] == []
    assert {kind["fault"] for kind in found["faults"]} == set(FAULTS)
    assert all(0 < kind["recovered_p50"] <= kind["recovered_max"] < 60 for kind in found["faults"])
    # It bit.
    assert found["read_again"] > 0
    assert found["restarts"] >= 1
    assert min(found["tallies"][name] for name in ("late", "repeated", "rejected")) > 10
    assert found["tallies"]["counted"] == found["events"] > 30_000
    # What follows bars, and rules on both, are held to a replay.
    signals = {name: count for name, count in found["agree"].items() if name.startswith("signals/")}
    assert set(signals) == {"signals/turn", "signals/bought", "signals/burst", "signals/overbought"}
    assert min(signals.values()) > 10
    assert not list(temporary.iterdir())


def test_a_fault_that_there_is_not() -> None:
    run = chaos("--fault", "kil")
    assert run.returncode == 2
    assert run.stderr.startswith("tickertape: kil: no such fault; there are kill, freeze, ")

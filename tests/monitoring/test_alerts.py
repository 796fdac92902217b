"""Alerts: each fires when it should, and not when all is well, as Prometheus's own tool has it."""

import subprocess

import pytest
import yaml

from tests.monitoring.queries import ALERTS, ROOT

TESTS = ALERTS.with_name("alerts_test.yml")
OPERATIONS = ROOT / "docs" / "operations.md"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def alerts() -> set[str]:
    return {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}


@pytest.mark.prometheus
def test_alerts_do_as_their_tests_say() -> None:
    ran = promtool("test", "rules", str(TESTS.relative_to(ROOT)))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.prometheus
@pytest.mark.parametrize("name", ["prometheus.yml", "local.yml"])
def test_configuration_is_sound(name: str) -> None:
    ran = promtool("check", "config", f"prometheus/{name}")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_each_alert_is_tested_both_ways() -> None:
    cases = [case for test in yaml.safe_load(TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts()
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts()


def test_operators_are_told_what_to_do_about_each() -> None:
    section = OPERATIONS.read_text().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    told = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    assert told == alerts()

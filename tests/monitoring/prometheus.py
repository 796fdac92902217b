"""A real Prometheus that scrapes what runs on this machine, and whether what it has answers a query."""

import json
import math
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.monitoring.queries import ROOT, Query
from tickertape.stream.telemetry.serving import reserve

STEP_SECONDS = 1


class Prometheus:
    """What can be asked of one that runs."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._began = time.time()

    def get(self, path: str, **parameters: object) -> Any:
        url = f"{self._address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def targets(self) -> dict[str, list[str]]:
        """Return the instances that are scraped and well, by job."""
        found: dict[str, list[str]] = {}
        for target in self.get("targets", state="active")["activeTargets"]:
            if target["health"] == "up":
                found.setdefault(target["labels"]["job"], []).append(target["labels"]["instance"])
        return found

    def history(self, expr: str) -> list[list[float]]:
        """Return what a query has been since the beginning, series by series; not a number is nothing."""
        now = time.time()
        data = self.get("query_range", query=expr, start=self._began, end=now, step=STEP_SECONDS)
        series = [[float(value) for _, value in each["values"]] for each in data["result"]]
        return [known for values in series if (known := [value for value in values if not math.isnan(value)])]


@contextmanager
def prometheus(folder: Path, discovery: str, feeds: Iterable[str], alerts: Iterable[str] = ()) -> Iterator[Prometheus]:
    """Run one as prometheus/local.yml has it, but that it looks each second.

    Parameters
    ----------
    folder
        For its data.
    discovery
        Where `tickertape up` says what there is.
    feeds, alerts
        Where feeds, and processes that send alerts, show their metrics.
    """
    config = yaml.safe_load((ROOT / "prometheus" / "local.yml").read_text())
    config["global"] = {"scrape_interval": f"{STEP_SECONDS}s", "evaluation_interval": f"{STEP_SECONDS}s"}
    config["rule_files"] = [str(ROOT / "prometheus" / name) for name in config["rule_files"]]
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    (found,) = jobs["tickertape"]["http_sd_configs"]
    found |= {"url": discovery, "refresh_interval": "1s"}
    jobs["feed"]["static_configs"] = [{"targets": list(feeds)}]
    jobs["alerts"]["static_configs"] = [{"targets": list(alerts)}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    held = reserve("127.0.0.1")
    address = f"127.0.0.1:{held.getsockname()[1]}"
    # It shares no address with others.
    held.close()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        _wait_until_ready(f"http://{address}/-/ready", process)
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        assert process.poll() is None
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, TimeoutError):
            assert time.monotonic() < until
            time.sleep(0.2)


def faults(prometheus: Prometheus, queries: Iterable[Query]) -> list[str]:
    """Return who gets no data, or such as doesn't move though the run did."""
    found = []
    for asker, expr in queries:
        try:
            series = prometheus.history(expr)
        except urllib.error.HTTPError as error:
            found.append(f"{asker}: {json.load(error)['error']}")
            continue
        if not series:
            found.append(f"{asker}: no data: {expr}")
        elif not any(len(set(values)) > 1 for values in series):
            found.append(f"{asker}: always {sorted({value for values in series for value in values})}: {expr}")
    return found

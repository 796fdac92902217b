"""What the metrics are called, the page that lists them, and where they are served."""

import re
import socket
import threading
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.parser import text_string_to_metric_families

from tickertape.stream.command_line.commands import metrics
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.errors import ConfigError
from tickertape.stream.telemetry import serving
from tickertape.stream.telemetry.declared import declared
from tickertape.stream.telemetry.registries import REGISTRIES
from tickertape.stream.telemetry.serving import reserve, served

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
# Each has few values; a symbol's are those of the watch list, or so many of those that a feed is asked for.
BOUNDED = {"topic", "partition", "source", "outcome", "worker", "channel", "database", "state", "reason"} | {
    "symbol",
    "host",
    "budget",
}
UNITS = {"seconds", "bytes", "records", "offset", "partitions", "rebalances", "commits", "results", "windows"} | {
    "restarts",
    "workers",
    "messages",
    "reconnects",
    "gaps",
    "bundles",
    "events",
    "alerts",
    "writes",
    "holds",
    "connections",
    "streams",
    "books",
    "breaks",
    "ratio",
    "failures",
}


def get(address: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
        body: bytes = answer.read()
    return body


def test_the_page_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(metrics, obj=Settings(), catch_exceptions=False).output
    assert PAGE.read_text() == printed, "tickertape metrics > docs/metrics.md"


def test_each_row_of_the_page_has_a_meaning_and_a_name_of_its_own() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.read_text().splitlines()]
    rows = [row for row in rows if row[0].startswith("`tickertape_")]
    assert [row for row in rows if not (len(row) == 5 and row[4].endswith("."))] == []
    # Two kinds of process serve `tickertape_producer_buffer_bytes`; of all others there is one row.
    assert len({(row[0], row[3]) for row in rows}) == len(rows) - 1


@pytest.mark.parametrize("kind", REGISTRIES)
def test_names_end_with_a_base_unit_and_labels_are_bounded(kind: str) -> None:
    found = list(declared(kind))
    assert found
    for one in found:
        assert re.fullmatch(r"tickertape_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.type == "counter")
        assert one.unit in UNITS
        assert set(one.labels) <= BOUNDED
        assert one.meaning.endswith(".")


def test_every_declared_metric_is_of_some_process() -> None:
    assert [len(set(declared(kind))) - len(list(declared(kind))) for kind in REGISTRIES] == [0, 0, 0, 0, 0]
    assert {one.name for one in declared("worker")} & {one.name for one in declared("feed")} == {
        "tickertape_producer_buffer_bytes"
    }


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answer", "Of all.", registry=registry).set(42)
    return registry


def test_metrics_are_served_on_a_free_port(registry: CollectorRegistry) -> None:
    with served(Settings(), registry, {"/sd": lambda asked: asked.encode()}) as address:
        (family,) = text_string_to_metric_families(get(f"{address}/metrics").decode())
        assert [(sample.name, sample.value) for sample in family.samples] == [("answer", 42.0)]
        # A page is told how we are known to who asks.
        assert get(f"{address}/sd", Host="elsewhere:9108") == b"elsewhere:9108"
        assert f"http://{get(f'{address}/sd').decode()}" == address


def test_metrics_are_served_nowhere_where_the_settings_say_so(registry: CollectorRegistry) -> None:
    with served(Settings(metrics_port=-1), registry) as address:
        assert address == ""


def test_a_port_that_is_taken_is_one_line(registry: CollectorRegistry) -> None:
    with served(Settings(), registry) as address:
        taken = Settings(metrics_port=int(address.rpartition(":")[2]))
        with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+ .*TICKERTAPE_METRICS_PORT"), served(taken, registry):
            pass


def test_a_reserved_port_is_nobody_else_s_until_it_is_taken(registry: CollectorRegistry) -> None:
    held = reserve("127.0.0.1")
    port = held.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    # Twice: the one that follows a worker has its port.
    for _ in range(2):
        with served(Settings(metrics_port=port), registry) as address:
            assert b"answer 42" in get(address)
    held.close()


def test_settings_come_from_the_environment() -> None:
    found = load({"TICKERTAPE_METRICS_PORT": "-1", "TICKERTAPE_WATCH": "BTC-USD,ETH-USD"})
    assert (found.metrics_port, found.watch) == (-1, ["BTC-USD", "ETH-USD"])
    # Where nobody is to look, nothing is served.
    with served(found, CollectorRegistry()) as address:
        assert address == ""


def test_who_asks_slowly_or_never_to_the_end_keeps_nobody_out(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "WHOLE_SECONDS", 1.0)
    monkeypatch.setattr(serving.Handler, "timeout", 0.5)
    with served(Settings(), registry) as address, ExitStack() as held:
        host, port = address.removeprefix("http://").split(":")
        threads = threading.active_count()
        lines = [held.enter_context(socket.create_connection((host, int(port)))) for _ in range(100)]
        for line in lines:
            with suppress(OSError):  # those for whom there is no room are hung up on
                line.sendall(b"GET /metr")
        # However many there are, so many threads wait for them.
        assert threading.active_count() - threads <= serving.MOST_REQUESTS
        until = time.monotonic() + 30
        while True:
            try:
                with urlopen(f"{address}/metrics", timeout=5) as answer:
                    assert answer.status == 200
                    break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)


def test_one_that_drips_is_hung_up_on(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "WHOLE_SECONDS", 0.5)
    with served(Settings(), registry) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as line:
            line.sendall(b"GET /metrics HTTP/1.0\r\n")
            # It never times out between two of its bytes, and ends all the same.
            with suppress(OSError):
                until = time.monotonic() + 60
                while time.monotonic() < until:
                    line.sendall(b"X")
                    time.sleep(0.02)
            assert time.monotonic() < until

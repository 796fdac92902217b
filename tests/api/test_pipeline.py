"""The state of the pipeline, from a real Kafka and from what workers show."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from tests.recent.made import Told
from tests.recent.published import made_topics, of, publish
from tickertape.schemas.topics import BARS, TRADES
from tickertape.stream.api.pipeline import Pipeline
from tickertape.stream.api.worker_numbers import WorkerNumbers
from tickertape.stream.kafka.clients.producer import Producer


@pytest.mark.kafka
def test_partitions_have_an_end_a_lag_and_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickertape.stream.api.pipeline.EVERY_SECONDS", 0.0)

    async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        pipeline = Pipeline(settings, [TRADES, BARS], Told().recent, lambda: {"w": {"memory_bytes": 5.0}})
        before = msgspec.json.decode(await pipeline.now())
        async with Producer(settings) as producer:
            await publish(producer, of("A", 0, 1), of("A", 1, 1))
        return before, msgspec.json.decode(await pipeline.now())

    with made_topics() as settings:
        before, after = asyncio.run(ask())
    assert (before["group"], before["workers"]) == ("tickertape", [])
    trades, bars = after["topics"]
    assert (trades["name"], trades["is_input"], trades["lag"], len(trades["partitions"])) == ("trades", True, 0, 4)
    changed = [part for part in bars["partitions"] if part["records_per_second"]]
    assert [(part["end"], part["owner"], part["lag"]) for part in changed] == [(2, None, None)]
    assert before["topics"][1]["partitions"][0]["records_per_second"] is None
    assert after["recent"]["most_bytes"] == 256 << 20


def test_a_kafka_that_can_not_be_reached_is_told() -> None:
    told = Told()
    state = msgspec.json.decode(asyncio.run(Pipeline(told.settings, [TRADES], told.recent).now()))
    assert "127.0.0.1:1" in state["error"]


@contextmanager
def showing(cpu_seconds: list[float]) -> Iterator[str]:
    """Serve what a supervisor and a worker show; the CPU time is the next in the list each time."""

    class Shown(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            own = f"127.0.0.1:{self.server.server_address[1]}"
            targets = [
                {"targets": [own], "labels": {"job": "supervisor"}},
                {"targets": [own], "labels": {"job": "worker", "worker": "vm-0"}},
                {"targets": ["127.0.0.1:1"], "labels": {"job": "worker", "worker": "vm-1"}},
            ]
            text = f"# HELP x\nprocess_resident_memory_bytes 1.5e+08\nprocess_cpu_seconds_total {cpu_seconds.pop(0)}\n"
            body = msgspec.json.encode(targets) if self.path == "/sd" else text.encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    cpu_seconds.insert(0, 0.0)
    with HTTPServer(("127.0.0.1", 0), Shown) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/sd"
        server.shutdown()


def test_workers_that_show_their_metrics_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((100.0, 102.0, 104.0))
    monkeypatch.setattr("tickertape.stream.api.worker_numbers.time.monotonic", lambda: next(clock))
    # Each request takes one, that for the addresses too.
    with showing([10.0, 0.0, 11.0, 0.0, 0.5]) as discovery:
        numbers = WorkerNumbers(discovery)
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0}}
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0, "cpu_share": 0.5}}
        # It was killed, and another begins.
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0}}


def test_a_supervisor_that_does_not_answer_has_no_numbers() -> None:
    assert WorkerNumbers("http://127.0.0.1:1/sd")() == {}

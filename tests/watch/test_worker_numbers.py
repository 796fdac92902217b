"""Numbers of workers, from what they show."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest

from tickertape.stream.watch.worker_numbers import WorkerNumbers


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
            spent = cpu_seconds.pop(0)
            text = f"# HELP x\nprocess_resident_memory_bytes 1.5e+08\nprocess_cpu_seconds_total {spent}\n"
            # What is published goes with the time, and a metric of another name doesn't count.
            for topic in ("bars", "rolling"):
                text += f'tickertape_results_total{{topic="{topic}"}} {100 * spent}\n'
            text += 'tickertape_results_totally{topic="bars"} 7.0\n'
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
    monkeypatch.setattr("tickertape.stream.watch.worker_numbers.time.monotonic", lambda: next(clock))
    # Each request takes one, that for the addresses too.
    with showing([10.0, 0.0, 11.0, 0.0, 0.5]) as discovery:
        numbers = WorkerNumbers(discovery)
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0}}
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0, "cpu_share": 0.5, "results_per_second": 100.0}}
        # It was killed, and another begins.
        assert numbers() == {"vm-0": {"memory_bytes": 150_000_000.0}}


def test_a_supervisor_that_does_not_answer_has_no_numbers() -> None:
    assert WorkerNumbers("http://127.0.0.1:1/sd")() == {}

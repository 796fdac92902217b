"""`tickertape top` in a terminal, and in a pipe: a real pipeline, whose worker goes and whose Kafka stands still."""

import re
import signal
import subprocess
import sys

import psutil
import pytest

from tests.integration.running import feed, running, until
from tests.top.terminals import CTRL_C, LEFT_AS_IT_WAS, terminal
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.environment import environment
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def trades(first: int) -> list[Trade]:
    at_ms = 1_700_000_000_000
    return [
        Trade(symbol="BTC-USD", source="x", id=n, time_ms=at_ms + n, price=1.0, quantity=1.0, side="buy")
        for n in range(first, first + 500)
    ]


def test_a_running_pipeline_is_seen_to_lose_a_worker_and_its_kafka() -> None:
    said: list[str] = []
    with EmbeddedKafka() as kafka, running(kafka.broker, 2, said.append) as (settings, supervisor), supervisor.shown():
        names = [supervisor.name(slot) for slot in supervisor.slots]
        (metrics,) = [found[1] for line in said if (found := re.search(r"metrics at http://([\w.:]+)/metrics;", line))]
        environ = environment(settings)
        with terminal("-m", "tickertape", "top", "--metrics", metrics, environ=environ) as top:
            until("both workers are seen", lambda: all(f"{name} " in top.text for name in names))
            until("their memory is seen", lambda: " MiB" in top.text)
            feed(kafka.broker, trades(1), close=False)
            until("a partition that was read is seen", lambda: "50" in top.text and f"{TRADES.name} 3" in top.text)
            supervisor.stop_one(1)
            until("it is told of", lambda: f"worker {names[1]} is gone" in top.text)
            until("the other takes over", lambda: f"{names[0]} took over " in top.text)
            in_a_pipe = subprocess.Popen(
                [sys.executable, "-m", "tickertape", "top"], env=environ, stdout=subprocess.PIPE, text=True
            )
            assert in_a_pipe.stdout is not None
            # Before it, there may be lines of a group that isn't stable yet, and of what was taken over.
            line = next(line for line in in_a_pipe.stdout if "   1 worker   " in line)
            assert re.fullmatch(r"\d\d:\d\d:\d\d   1 worker   .* records/s   lag .*\n", line)
            in_a_pipe.send_signal(signal.SIGINT)
            assert in_a_pipe.communicate(timeout=20)[0].count("\x1b") == 0
            assert in_a_pipe.returncode == 130
            broker = psutil.Process(kafka.pid)
            broker.suspend()
            until("that Kafka is away is told", lambda: "and it is tried again" in top.text)
            broker.resume()
            until("that it is back is told", lambda: "Kafka answers again, after " in top.text)
            top.type(CTRL_C)
            assert top.process.wait(10) == 0
            until("the terminal is as it was", lambda: LEFT_AS_IT_WAS in top.raw)
            assert "Traceback" not in top.text

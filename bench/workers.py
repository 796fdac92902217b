"""Run worker processes for the time of a measurement."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tickertape.schemas.topics import TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics


@contextmanager
def running(broker: str, workers: int, agents: str = "tickertape.agents") -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "tickertape", "--broker", broker, "worker", "--slot"]
    environ = os.environ | {"TICKERTAPE_AGENTS": agents}
    processes = [subprocess.Popen([*command, str(i)], env=environ, stderr=subprocess.DEVNULL) for i in range(workers)]
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(15)


def wait_until_read(broker: str, seconds: float) -> None:
    """Wait until all records of ``trades`` are read and committed."""
    settings, until = Settings(broker=broker), time.monotonic() + seconds
    while any(state.lag != 0 for state in topics.describe(settings, [TRADES])):
        if time.monotonic() > until:
            raise SystemExit(f"the workers did not read all of {TRADES.name} within {seconds:g} s")
        time.sleep(0.5)

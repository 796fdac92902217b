"""Numbers of workers' processes: of this one, which works, and of one that has ended."""

import os
import subprocess
import sys
import time
from typing import Any

import psutil

from tickertape.stream.cluster.process_numbers import ProcessNumbers


class Supervising:
    """What is asked of a supervisor."""

    def __init__(self, **pids: int) -> None:
        self.pids = pids

    def name(self, slot: str) -> str:
        return f"vm-{slot}"


def test_a_worker_has_memory_and_a_share_and_one_that_ended_has_none() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(20)
    some: Any = Supervising(here=os.getpid(), gone=ended.pid)
    numbers = ProcessNumbers(some)
    assert numbers()["vm-here"]["cpu_share"] == 0
    began, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < 0.2:
        pass
    took = time.monotonic() - began
    found = numbers()
    assert found.keys() == {"vm-here"}
    # 0.2 s of work in this time, and nothing beside it but what asks.
    assert 0.2 / took * 0.8 < found["vm-here"]["cpu_share"] < 1.5
    assert found["vm-here"]["memory_bytes"] > 10 << 20
    assert abs(found["vm-here"]["memory_bytes"] / psutil.Process().memory_info().rss - 1) < 0.2

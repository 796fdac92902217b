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

    slots = (0, 1, 2)

    def __init__(self, **pids: int) -> None:
        self.pids = {int(name[-1]): pid for name, pid in pids.items()}

    def name(self, slot: int) -> str:
        return f"vm-{slot}"


def ended() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(20)
    return process.pid


def test_a_worker_has_memory_and_a_share_and_one_that_ended_has_none() -> None:
    some: Any = Supervising(slot_0=os.getpid(), slot_1=ended())
    numbers = ProcessNumbers(some)
    assert numbers()["vm-0"]["cpu_share"] == 0
    began, spent = time.monotonic(), time.process_time()
    while time.process_time() - spent < 0.2:
        pass
    took = time.monotonic() - began
    found = numbers()
    # One has ended, and one isn't there.
    assert found["vm-1"] == found["vm-2"] == {"up": 0, "restarts": 0}
    # 0.2 s of work in this time, and nothing beside it but what asks.
    assert 0.2 / took * 0.8 < found["vm-0"]["cpu_share"] < 1.5
    assert found["vm-0"]["memory_bytes"] > 10 << 20
    assert abs(found["vm-0"]["memory_bytes"] / psutil.Process().memory_info().rss - 1) < 0.2


def test_another_process_in_a_slot_is_a_restart() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as second:
        some: Any = Supervising(slot_0=os.getpid())
        numbers = ProcessNumbers(some)
        assert (numbers()["vm-0"]["up"], numbers()["vm-0"]["restarts"]) == (1, 0)
        some.pids = {}
        assert numbers()["vm-0"] == {"up": 0, "restarts": 0}
        some.pids = {0: second.pid}
        assert (numbers()["vm-0"]["up"], numbers()["vm-0"]["restarts"]) == (1, 1)

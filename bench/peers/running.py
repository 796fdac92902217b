"""Run a peer's program on one core, and take the time and the CPU time of all its processes between its two marks."""

import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[2]
#: After so many seconds, a peer is ended, and counts as failed.
PATIENCE_SECONDS = 400.0


class PeerError(Exception):
    """A peer ended without its second mark; the text is the end of what it said."""


class Taken(NamedTuple):
    """The seconds that the measured work took, by wall and by CPU (user and system, all processes)."""

    wall_seconds: float
    cpu_seconds: float


def run(command: Sequence[str], environment: Mapping[str, str]) -> Taken:
    """Run a program that prints ``@begin`` and ``@end``, each with the time, and then waits.

    Raises
    ------
    PeerError
        It ended before its end mark, or took too long.
    """
    core = max(os.sched_getaffinity(0))
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            env=os.environ | environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        overdue = threading.Timer(PATIENCE_SECONDS, end, [process.pid])
        overdue.start()
        try:
            taken = _between_marks(process)
        finally:
            overdue.cancel()
            end(process.pid)
            process.communicate()
        if taken is None:
            log.seek(0)
            raise PeerError(f"it ended with {process.returncode}: {log.read()[-2000:]}")
        return taken


def _between_marks(process: subprocess.Popen[str]) -> Taken | None:
    began = began_cpu = 0.0
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("@begin "):
            began, began_cpu = float(line.split()[1]), cpu_seconds(process.pid)
        elif line.startswith("@end "):
            return Taken(float(line.split()[1]) - began, cpu_seconds(process.pid) - began_cpu)
    return None


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of all below it, those that ended included, s."""
    top = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (top, *top.children(recursive=True)))


def end(pid: int) -> None:
    """Kill a process and all below it."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        for each in (*top.children(recursive=True), top):
            with suppress(psutil.NoSuchProcess):
                each.kill()

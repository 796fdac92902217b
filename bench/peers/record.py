"""What was measured, turn by turn, as it is kept in a file."""

import os
import platform
import time
from pathlib import Path

import msgspec
from msgspec import Struct, field


class Turn(Struct):
    """One turn of a contestant.

    Attributes
    ----------
    wall, cpu
        Events per second of wall time and of CPU time.
    load
        The machine's load average over the last minute when the turn began.
    expected, right, withheld, faults
        The check of its rows: see `bench.peers.truth.Checked`; ``faults`` is their number.
    """

    round: int
    wall: float
    cpu: float
    load: float
    expected: int
    right: int
    withheld: int
    faults: int


class Result(Struct):
    """A contestant: what it is, the number of events that it gets, and its turns, or why it has none."""

    about: str
    counted_from: str
    events: int
    version: str = ""
    missing: str = ""
    turns: list[Turn] = field(default_factory=list)


class Record(Struct):
    """All contestants, by name, in their order; when and where they were measured."""

    date: str
    machine: str
    events: int
    results: dict[str, Result] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return 1 + max((turn.round for result in self.results.values() for turn in result.turns), default=-1)


def here(events: int) -> Record:
    """Return a record of this machine, without any turns."""
    cpus = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    name = cpus[0] if cpus else platform.processor() or platform.machine()
    machine = f"{len(os.sched_getaffinity(0))} cores of {name}, Python {platform.python_version()}"
    return Record(time.strftime("%Y-%m-%d"), machine, events)


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def load(path: Path) -> Record:
    return msgspec.json.decode(path.read_bytes(), type=Record)


def save(path: Path, record: Record) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")

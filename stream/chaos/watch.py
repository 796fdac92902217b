"""Observe a run: measure how long bars need to recover from each fault, and count events in the workers' logs."""

import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec
from aiokafka.structs import ConsumerRecord
from msgspec import Struct

#: A symbol and a source.
Series = tuple[str, str]


class _Bar(Struct):
    symbol: str
    source: str
    close_ms: int
    final: bool


_decode = msgspec.json.Decoder(_Bar).decode


class Recovery:
    """The recovery from a fault: complete once bars of every series contain a trade later than the fault.

    Parameters
    ----------
    fault
        The name of its kind.
    series
        All series.

    Attributes
    ----------
    lasted_seconds
        How long the fault itself lasted. None while it lasts.
    recovered_seconds
        From the fault's beginning until bars of every series had later trades. None before that.
    settled_seconds
        From the fault's end until bars of every series had later trades. None before that.
    """

    def __init__(self, fault: str, series: Iterable[Series]) -> None:
        self.fault = fault
        self.lasted_seconds: float | None = None
        self.recovered_seconds: float | None = None
        self.settled_seconds: float | None = None
        self._series = set(series)
        self._waiting = set(self._series)
        self._settling: set[Series] = set()
        self._began = time.time()

    def over(self) -> None:
        """Record the end of the fault."""
        self.lasted_seconds = time.time() - self._began
        self._settling = set(self._series)

    def note_bar(self, series: Series, close_ms: int) -> None:
        """Record a bar whose last trade happened at `close_ms`."""
        now = time.time()
        if self._waiting and close_ms > self._began * 1000:
            self._waiting.discard(series)
            if not self._waiting:
                self.recovered_seconds = now - self._began
        if self._settling and self.lasted_seconds is not None:
            ended = self._began + self.lasted_seconds
            if close_ms > ended * 1000:
                self._settling.discard(series)
                if not self._settling:
                    self.settled_seconds = now - ended

    @property
    def complete(self) -> bool:
        return self.recovered_seconds is not None and self.settled_seconds is not None

    @property
    def missing(self) -> list[Series]:
        return sorted(self._waiting | self._settling)


class Sink:
    """Follows ``bars``, and passes them on to the recoveries that are under way."""

    def __init__(self) -> None:
        self.recoveries: list[Recovery] = []
        #: By key, whether a final record has been read.
        self.final: dict[bytes, bool] = {}

    def add_records(self, records: list[ConsumerRecord]) -> None:
        under_way = [recovery for recovery in self.recoveries if not recovery.complete]
        for record in records:
            bar = _decode(record.value)
            self.final[record.key] = bar.final or self.final.get(record.key, False)
            for recovery in under_way:
                recovery.note_bar((bar.symbol, bar.source), bar.close_ms)


_OWNS = re.compile(r" owns (.*)$")
_OWNED = re.compile(r"([a-z-]+)/(\d+)@(\d+)")


class WorkerLog:
    """Writes the log lines of workers and feeds to a file, and counts those that show the effect of a fault.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    refused
        Commits that Kafka refused because another worker owned the partitions.
    given_up
        Commits that a worker didn't send because it had learned before that it had lost the partitions.
    taken_up
        Topic, partition and first offset, for each time that a worker began to own a partition.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", buffering=1)
        self._lock = threading.Lock()
        self.refused = 0
        self.given_up = 0
        self.taken_up: list[tuple[str, int, int]] = []

    def note_line(self, line: str) -> None:
        with self._lock:
            self._file.write(f"{time.time():.3f} {line}\n")
            self.refused += "a commit was refused" in line
            self.given_up += "was given up" in line
            if owns := _OWNS.search(line):
                self.taken_up += [
                    (topic, int(number), int(offset)) for topic, number, offset in _OWNED.findall(owns[1])
                ]

    def close(self) -> None:
        with self._lock:
            self._file.close()

"""The supervisor: keeps worker processes running, and none of them outlives it."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from tickertape.stream.cluster.metrics_ports import MetricsPorts
from tickertape.stream.cluster.slot import HEALTHY_SECONDS, STOP_SECONDS, Say, Slot
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError, TickertapeError
from tickertape.stream.kafka.admin import members
from tickertape.stream.telemetry.metrics import RESTARTS, WORKERS
from tickertape.stream.telemetry.registries import SUPERVISOR
from tickertape.stream.telemetry.serving import PATH, served

# The path at which Prometheus finds the addresses of all metrics.
DISCOVERY = "/sd"


class Supervisor:
    """Runs workers as child processes, in slots 0 to n - 1.

    A worker that ends by itself is started again: at once the first time, then after 0.5, 1, 2, … 30 s. After a healthy
    minute the sequence starts anew. A worker that ends with a `ConfigError` is not started again.

    Parameters
    ----------
    settings
        The workers' settings, with a broker.
    workers
        The number of workers.
    say
        Receives each line that the workers and the supervisor print, without the newline; called from other threads.
    healthy_seconds
        A worker that ran for this long is started again at once.

    Attributes
    ----------
    restarts
        The number of restarts.
    failure
        Why a worker was not started again, or None.

    Examples
    --------
    >>> with Supervisor(Settings(broker="localhost:9092"), 2, print) as supervisor:  # doctest: +SKIP
    ...     supervisor.kill(0)
    """

    def __init__(self, settings: Settings, workers: int, say: Say, *, healthy_seconds: float = HEALTHY_SECONDS) -> None:
        self._settings = settings
        self._environment = environment(settings)
        self._workers = workers
        self._say = say
        self._healthy_seconds = healthy_seconds
        self._slots: dict[int, Slot] = {}
        self._ports = MetricsPorts(settings, self.name)
        # Unlike an Event, a queue may be used from a signal's handler.
        self._told: SimpleQueue[TickertapeError | int | None] = SimpleQueue()
        self.restarts = 0
        self.failure: TickertapeError | None = None

    @property
    def pids(self) -> dict[int, int]:
        """The process id of each slot with a running worker."""
        return {number: pid for number, slot in sorted(self._slots.items()) if (pid := slot.pid) is not None}

    @property
    def slots(self) -> list[int]:
        return sorted(self._slots)

    def name(self, slot: int) -> str:
        """Return a slot's name in the consumer group, which includes the machine's name."""
        return f"{socket.gethostname()}-{slot}"

    def start(self) -> Self:
        self.scale(self._workers)
        return self

    def scale(self, workers: int) -> None:
        """Start or stop workers until there are this many; a worker that stops drains, and leaves the group.

        Raises
        ------
        BrokerError
            Kafka can't be reached, or refuses to remove a stopped worker from the group.
        """
        for number in range(workers):
            if number not in self._slots:
                command = [sys.executable, "-m", "tickertape", "worker", "--slot", self.name(number), "--supervised"]
                RESTARTS.labels(self.name(number))
                self._slots[number] = Slot(
                    command,
                    self._environment | self._ports.reserve(number),
                    f"worker-{number}",
                    self._say,
                    partial(self._ended, number),
                    healthy_seconds=self._healthy_seconds,
                    log_format=self._settings.log_format,
                )
        for number in self.slots[workers:][::-1]:
            self.stop_one(number)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """While the block runs, serve the supervisor's metrics, and the addresses of all metrics at ``/sd``.

        Raises
        ------
        ConfigError
            The address in the settings can't be used.
        """
        WORKERS.set_function(lambda: len(self.pids))
        with served(self._settings, SUPERVISOR, {DISCOVERY: self._ports.discovery}) as address:
            if address:
                self._say(f"metrics at {address}{PATH}; the addresses of all workers' metrics at {DISCOVERY}")
            yield

    def stop_one(self, slot: int) -> None:
        """Let one worker drain and leave the group, so that the others take over its partitions at once.

        Raises
        ------
        BrokerError
            Kafka can't be reached, or refuses to remove the worker from the group.
        """
        gone = self._slots.pop(slot)
        gone.end()
        gone.join(time.monotonic() + STOP_SECONDS)
        self._ports.release(slot)
        # A static member doesn't leave the group when it ends.
        members.remove(self._settings, self.name(slot))

    def kill(self, slot: int) -> None:
        """End a worker with SIGKILL, as a crash would; it is started again."""
        self._slots[slot].kill()

    def wait(self) -> None:
        """Block until `end` is called, and scale whenever `ask` is called.

        Raises
        ------
        ConfigError
            A worker has ended with a `ConfigError`.
        """
        while (told := self._told.get()) is not None:
            if isinstance(told, TickertapeError):
                raise told
            self._say(f"scaling to {told} workers from {len(self._slots)}")
            try:
                self.scale(told)
            except BrokerError as error:
                # Kafka removes the worker by itself after the session time-out.
                self._say(str(error))

    def ask(self, workers: int) -> None:
        """Make `wait` scale to this many workers; another thread may call this."""
        self._told.put(workers)

    def end(self) -> None:
        """Make `wait` return; a signal's handler may call this."""
        self._told.put(None)

    def stop(self) -> None:
        """Let all workers drain and commit for up to ten seconds, then kill the rest."""
        slots = list(self._slots.values())
        self._slots = {}
        for slot in slots:
            slot.end()
        until = time.monotonic() + STOP_SECONDS
        for slot in slots:
            slot.join(until)
        self._ports.release_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ended(self, slot: int, code: int) -> bool:
        """Note that a worker ended by itself; return whether to start it again."""
        if code == ConfigError.exit_code:
            self.failure = ConfigError("a worker can't run with these settings: see its message above")
            self._told.put(self.failure)
            return False
        self.restarts += 1
        RESTARTS.labels(self.name(slot)).inc()
        return True


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

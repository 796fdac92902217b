"""Worker processes, kept running: one that dies is started again, and none outlives its supervisor."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from msgspec import json

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.settings import PREFIX, TABLES, Settings
from tickertape.stream.errors import BrokerError, ConfigError, TickertapeError
from tickertape.stream.kafka.admin import members
from tickertape.stream.telemetry import logs
from tickertape.stream.telemetry.metrics import PATH, RESTARTS, SUPERVISOR, WORKERS, reserve, served

# The first restart is at once: within the session time-out a slot takes back its partitions without a rebalance.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
# A worker that is told to stop has this long, then it is killed.
STOP_SECONDS = 10.0
# Prometheus asks here where to look.
DISCOVERY = "/sd"

Say = Callable[[str], None]


class Supervisor:
    """Runs workers as processes of its own, slots 0 to n - 1.

    A worker that ends by itself is started again: at once the first time, then after 0.5, 1, 2, … 30 s; a minute of
    health makes it the first time again. One that ends with a `ConfigError` is not: that is for the operator to mend.

    Parameters
    ----------
    settings
        The workers'; ``broker`` is set.
    workers
        How many.
    say
        Takes each line that the workers and the supervisor print, without its end; called from other threads.
    healthy_seconds
        A worker that ran for so long is started again at once.

    Attributes
    ----------
    restarts
        How many times a worker was started again.
    failure
        Why one was not.

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
        #: The ports at which workers show their metrics: a slot's is its own for as long as it is there.
        self._ports: dict[int, socket.socket] = {}
        # Unlike an Event, it may be told from a signal's handler.
        self._told: SimpleQueue[TickertapeError | int | None] = SimpleQueue()
        self.restarts = 0
        self.failure: TickertapeError | None = None

    @property
    def pids(self) -> dict[int, int]:
        """The process of each slot that has one running."""
        return {number: pid for number, slot in sorted(self._slots.items()) if (pid := slot.pid) is not None}

    @property
    def slots(self) -> list[int]:
        return sorted(self._slots)

    def name(self, slot: int) -> str:
        """Return a slot's name in the group: other machines' supervisors have slots too."""
        return f"{socket.gethostname()}-{slot}"

    def start(self) -> Self:
        self.scale(self._workers)
        return self

    def scale(self, workers: int) -> None:
        """Have so many workers; those that are too many drain, and leave the group.

        Raises
        ------
        BrokerError
            Kafka can't be told that a worker has left.
        """
        for number in range(workers):
            if number not in self._slots:
                command = [sys.executable, "-m", "tickertape", "worker", "--slot", self.name(number), "--supervised"]
                RESTARTS.labels(self.name(number))
                self._slots[number] = Slot(
                    command,
                    self._environment | self._port(number),
                    f"worker-{number}",
                    self._say,
                    partial(self._ended, number),
                    healthy_seconds=self._healthy_seconds,
                    log_format=self._settings.log_format,
                )
        for number in self.slots[workers:][::-1]:
            self.stop_one(number)

    def _port(self, slot: int) -> dict[str, str]:
        """Return the setting of where a slot's worker shows its metrics."""
        if self._settings.metrics_port < 0:
            return {}
        self._ports[slot] = reserve(self._settings.metrics_host)
        return {f"{PREFIX}METRICS_PORT": str(self._ports[slot].getsockname()[1])}

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show our metrics while the block runs, and at ``/sd`` where they and the workers' are, as Prometheus asks.

        Raises
        ------
        ConfigError
            They can't be served where the settings say.
        """
        WORKERS.set_function(lambda: len(self.pids))
        with served(self._settings, SUPERVISOR, {DISCOVERY: self._discovery}) as address:
            if address:
                self._say(f"metrics at {address}{PATH}, and of all workers by the service discovery {DISCOVERY}")
            yield

    def _discovery(self, asked: str) -> bytes:
        """Return where metrics are: ours where we were asked, the workers' on the same machine."""
        host = asked.rpartition(":")[0]
        targets = [{"targets": [asked], "labels": {"job": "supervisor"}}]
        for slot, held in sorted(self._ports.items()):
            labels = {"job": "worker", "worker": self.name(slot)}
            targets.append({"targets": [f"{host}:{held.getsockname()[1]}"], "labels": labels})
        return json.encode(targets)

    def stop_one(self, slot: int) -> None:
        """Have one worker drain and leave the group, so that the others take over its partitions at once.

        Raises
        ------
        BrokerError
            Kafka can't be told that it has left.
        """
        gone = self._slots.pop(slot)
        gone.end()
        gone.join(time.monotonic() + STOP_SECONDS)
        self._release(slot)
        # A static member doesn't leave by itself.
        members.remove(self._settings, self.name(slot))

    def kill(self, slot: int) -> None:
        """End a worker with SIGKILL, as a crash would; it is started again like any that dies."""
        self._slots[slot].kill()

    def wait(self) -> None:
        """Return when `tell` is called; until then, do as `ask` says.

        Raises
        ------
        ConfigError
            A worker has ended with one.
        """
        while (told := self._told.get()) is not None:
            if isinstance(told, TickertapeError):
                raise told
            self._say(f"{told} workers are asked for, there were {len(self._slots)}")
            try:
                self.scale(told)
            except BrokerError as error:
                # Kafka forgets a worker that has left by itself, after the session time-out.
                self._say(str(error))

    def ask(self, workers: int) -> None:
        """Have `wait` see to it that there are so many workers; another thread may call this."""
        self._told.put(workers)

    def tell(self) -> None:
        """Have `wait` return; a signal's handler may call this."""
        self._told.put(None)

    def stop(self) -> None:
        """Have all drain and commit, for up to ten seconds; then kill what is left."""
        slots = list(self._slots.values())
        self._slots = {}
        for slot in slots:
            slot.end()
        until = time.monotonic() + STOP_SECONDS
        for slot in slots:
            slot.join(until)
        for number in list(self._ports):
            self._release(number)

    def _release(self, slot: int) -> None:
        if held := self._ports.pop(slot, None):
            held.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _ended(self, slot: int, code: int) -> bool:
        """Hear that a worker ended by itself; return whether to start it again."""
        if code == ConfigError.exit_code:
            self.failure = ConfigError("a worker can't run with these settings: see what it said")
            self._told.put(self.failure)
            return False
        self.restarts += 1
        RESTARTS.labels(self.name(slot)).inc()
        return True


class Slot:
    """One process and those that follow it; a thread reads what they print, and starts the next.

    Parameters
    ----------
    command, environment
        What runs; its standard input ends when we are gone.
    name
        What its lines begin with.
    say
        Takes each line.
    ended
        Called with the exit status of one that ended by itself; says whether to start it again.
    healthy_seconds
        One that ran for so long is started again at once.
    log_format
        Of the lines; see `Settings`.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        name: str,
        say: Say,
        ended: Callable[[int], bool],
        *,
        healthy_seconds: float = HEALTHY_SECONDS,
        log_format: logs.Format = "text",
    ) -> None:
        self._command = command
        self._environment = environment
        self._name = name
        self._say = say
        self._ended = ended
        self._healthy_seconds = healthy_seconds
        self._log_format = log_format
        self._ending = threading.Event()
        # A process is started and told to end under it, so that none is started after the end.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep_running, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def kill(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def end(self) -> None:
        with self._lock:
            self._ending.set()
            if self._process is not None:
                self._process.terminate()

    def join(self, until: float) -> None:
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._tell(f"did not stop in {STOP_SECONDS:g} s and is killed")
            self.kill()
            self._thread.join()

    def _tell(self, line: str) -> None:
        self._say(logs.told(line, self._name, self._log_format))

    def _keep_running(self) -> None:
        failures = 0
        while not self._ending.is_set():
            began = time.monotonic()
            code = self._run_one()
            if self._ending.is_set():
                return
            if time.monotonic() - began >= self._healthy_seconds:
                failures = 0
            if not self._ended(code):
                self._tell(f"{reason(code)}; it is not started again")
                return
            wait_seconds = back_off_seconds(failures)
            failures += 1
            when = f"in {wait_seconds:g} s" if wait_seconds else "now"
            self._tell(f"{reason(code)}; it is started again {when}")
            self._ending.wait(wait_seconds)

    def _run_one(self) -> int:
        """Run a process to its end, and return its exit status."""
        with self._lock:
            if self._ending.is_set():
                return 0
            process = self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                # It holds no more than the end of it: there the worker knows that we are gone.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # Ctrl-C goes to all of a terminal's foreground; a worker is to be told by us, once.
                start_new_session=True,
            )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                self._tell(line.rstrip())
        return process.returncode


def back_off_seconds(failures: int) -> float:
    """Return how long to wait before a restart, after so many others without a minute of health."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (failures - 1)) if failures else 0.0


def reason(code: int) -> str:
    """Return in words how a process ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"


def environment(settings: Settings) -> dict[str, str]:
    """Return this process's environment with the settings in it, for a process that is to have the same."""
    found = dict(os.environ)
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if name in TABLES:
            found |= {f"{PREFIX}{name}_{entry}".upper().replace("-", "_"): _text(it) for entry, it in value.items()}
        elif name == "feeds":
            found |= {f"{PREFIX}{entry}".upper(): it for entry, it in value.items()}
        else:
            found[f"{PREFIX}{name}".upper()] = _text(value)
    return found


def _text(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return json.encode(value).decode()
    return ",".join(value) if isinstance(value, list) else str(value)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

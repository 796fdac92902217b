"""A slot: one worker process, which is started again when it dies, and ends when this process ends."""

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tickertape.stream.telemetry import logs

# The first restart is at once: within the session time-out a slot takes back its partitions without a rebalance. The
# second waits for FIRST_WAIT_SECONDS, and each later one twice as long as the one before.
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
# A process that doesn't stop within this time is killed.
STOP_SECONDS = 10.0

#: Receives a line of output.
Say = Callable[[str], None]


class Slot:
    """One process, started again whenever it ends; a thread reads its output and starts the next one.

    Parameters
    ----------
    command, environment
        The command to run, and its environment. Its standard input ends when this process ends.
    name
        The prefix of the lines that the process prints.
    say
        Receives each line.
    ended
        Called with the exit status of a process that ended by itself; returns whether to start it again.
    healthy_seconds
        A process that ran for this long is started again at once.
    log_format
        The format of its lines; see `Settings`.
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
        # Held while a process is started or terminated, so that none starts after `end`.
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

    def write(self, text: str) -> None:
        """Write to the process' standard input; what is written while none runs is lost."""
        with self._lock, suppress(OSError, ValueError):
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(text)
                self._process.stdin.flush()

    def end(self) -> None:
        with self._lock:
            self._ending.set()
            if self._process is not None:
                self._process.terminate()

    def join(self, until: float) -> None:
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._tell(f"did not stop within {STOP_SECONDS:g} s and is killed")
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
                # Its end shows the process that this one is gone.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                # Ctrl-C goes to all processes of a terminal; this keeps it from the worker, which `end` stops.
                start_new_session=True,
            )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                self._tell(line.rstrip())
            # What a process that is gone could not be told is still in the buffer, and closing tries again.
            with self._lock, suppress(OSError):
                assert process.stdin is not None
                process.stdin.close()
        return process.returncode


def back_off_seconds(failures: int) -> float:
    """Return how long to wait before the next restart, after this many restarts in a row without a healthy run."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (failures - 1)) if failures else 0.0


def reason(code: int) -> str:
    """Return a description of how a process ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

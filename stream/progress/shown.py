"""Show progress on standard error while work is done: in this thread, in others, in an event loop, or in processes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

import msgspec
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from tickertape.stream.progress.meter import Count, Meter, State

Form = Literal["terminal", "plain", "json"]
# The time between two states.
SECONDS: dict[Form, float] = {"terminal": 0.25, "plain": 5.0, "json": 1.0}


class Progress:
    """Where progress is shown, and how: a bar in a terminal, otherwise a line every five seconds.

    Parameters
    ----------
    console
        Where it is shown.
    as_json
        True to show each state as JSON on one line, each second: see `State` for its fields.
    """

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self.console = console
        self._form: Form = "json" if as_json else "terminal" if console.is_terminal else "plain"

    @classmethod
    def on_stderr(cls, *, as_json: bool) -> "Progress":
        """Return progress on standard error."""
        return cls(Console(stderr=True), as_json=as_json)

    @contextmanager
    def of(self, what: str, unit: str, count: Callable[[], Count]) -> Iterator[None]:
        """Show the progress of what the block does.

        Parameters
        ----------
        what, unit
            See `State`.
        count
            Returns what has been counted. It is called in another thread.
        """
        ended = threading.Event()
        meter, out = Meter(what, unit, time.monotonic()), self._out()
        watch = threading.Thread(target=self._watch, args=(meter, count, out, ended), name="progress", daemon=True)
        watch.start()
        try:
            yield
        finally:
            ended.set()
            watch.join()
            out.end(meter.state(time.monotonic(), count()))

    def say(self, line: str) -> None:
        """Print a line between states; as JSON, an object with ``said``."""
        _print(self.console, _json({"said": line}) if self._form == "json" else line)

    def _watch(self, meter: Meter, count: Callable[[], Count], out: "_Out", ended: threading.Event) -> None:
        while not ended.wait(SECONDS[self._form]):
            out.show(meter.state(time.monotonic(), count()))

    def _out(self) -> "_Out":
        if self._form == "terminal":
            return _Bar(self.console)
        return _Lines(self.console, _json if self._form == "json" else str, ends=self._form == "json")


class Counting:
    """A count that the work itself keeps.

    Parameters
    ----------
    total
        See `Count`.

    Attributes
    ----------
    done
        How much is done.
    """

    def __init__(self, total: float | None = None) -> None:
        self.total = total
        self.done = 0.0

    def __call__(self) -> Count:
        return Count(self.done, self.total)


#: Shows nothing.
NOWHERE = Progress(Console(quiet=True))


def _print(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


class _Out(Protocol):
    def show(self, state: State) -> None: ...

    def end(self, state: State) -> None:
        """Show the last state."""


class _Lines:
    def __init__(self, console: Console, line: Callable[[State], str], *, ends: bool) -> None:
        self._console, self._line, self._ends = console, line, ends

    def show(self, state: State) -> None:
        _print(self._console, self._line(state))

    def end(self, state: State) -> None:
        # What took less than one interval needs no line; who reads JSON wants to know that it is over.
        if self._ends:
            self.show(state)


class _Bar:
    """One line that changes; it stays when the work is done."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(TextColumn("{task.description}", markup=False), BarColumn(), console=console, transient=False)
        self._task: TaskID | None = None

    def show(self, state: State) -> None:
        if self._task is None:
            self._bars.start()
            self._task = self._bars.add_task(str(state), total=state.total)
        self._bars.update(self._task, description=str(state), completed=state.done, total=state.total, refresh=True)

    def end(self, state: State) -> None:
        self.show(state)
        self._bars.stop()

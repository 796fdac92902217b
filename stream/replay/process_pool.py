"""The processes of a replay: tasks in, results in the same order, progress on the way."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Self, TypeVar

from rich.console import Console

from tickertape.stream.errors import TickertapeError
from tickertape.stream.feeds.publish import progress
from tickertape.stream.telemetry import memory

T = TypeVar("T")

_counts: Any = None


class ProcessPool:
    """Runs tasks, each in one of some processes.

    Parameters
    ----------
    processes
        How many.
    console
        Where progress goes.
    """

    def __init__(self, processes: int, console: Console) -> None:
        self._console = console
        context = multiprocessing.get_context("spawn")
        self._counted = context.Array("q", 2)
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(self._counted,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # They are in the middle of something that nobody wants any more.
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    @property
    def events(self) -> int:
        """How much the tasks of this run have counted."""
        return int(self._counted[0])

    @property
    def newest_ms(self) -> int:
        """The newest event time that they have met."""
        return int(self._counted[1])

    async def run(self, done: str, what: str, task: Callable[..., T], each: Sequence[tuple[Any, ...]]) -> list[T]:
        """Run a task with each of these arguments, and return the results in that order.

        Parameters
        ----------
        done, what
            What the progress says becomes of what: ``folded``, ``events``.
        task
            A function of a module.
        each
            The arguments.

        Raises
        ------
        TickertapeError
            A process was killed.
        """
        self._counted[:] = [0, 0]
        async with progress.shown(self, self._console, done, what):
            futures = [asyncio.wrap_future(self._pool.submit(task, *arguments)) for arguments in each]
            try:
                return list(await asyncio.gather(*futures))
            except BrokenProcessPool:
                raise TickertapeError(
                    "a process of the replay was killed: if memory ran out, fewer of them need less (--processes)"
                ) from None


def _begin(counts: Any) -> None:
    global _counts
    _counts = counts
    memory.tune()
    # Ctrl-C reaches all processes of a terminal; these just end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def note(events: int, newest_ms: int) -> None:
    """Count events, in a process of a crew."""
    with _counts.get_lock():
        _counts[0] += events
        _counts[1] = max(_counts[1], newest_ms)

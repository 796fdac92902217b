"""Run the tasks of a replay in processes, and show their progress."""

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

from tickertape.stream.engine.worker import memory
from tickertape.stream.errors import TickertapeError
from tickertape.stream.progress.meter import Count
from tickertape.stream.progress.shown import Progress

T = TypeVar("T")

_counts: Any = None


class ProcessPool:
    """Runs tasks in a pool of processes.

    Parameters
    ----------
    processes
        The number of processes.
    progress
        Where progress is shown.
    """

    def __init__(self, processes: int, progress: Progress) -> None:
        self._progress = progress
        context = multiprocessing.get_context("spawn")
        self._counted = context.Array("q", 2)
        self._pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(self._counted,))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # Abandon the tasks that are still running: their results are no longer needed.
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(cancel_futures=True)

    async def run(
        self, done: str, what: str, task: Callable[..., T], each: Sequence[tuple[Any, ...]], total: int | None = None
    ) -> list[T]:
        """Run a task once for each tuple of arguments, and return the results in that order.

        Parameters
        ----------
        done, what
            The verb and the noun in the line of progress, for example ``folded`` and ``events``.
        task
            A function at the top level of a module.
        each
            The arguments of each call.
        total
            How many events or results the tasks will count; None: how far they are is told by how many have ended.

        Raises
        ------
        TickertapeError
            A process was killed.
        """
        self._counted[:] = [0, 0]
        futures: list[asyncio.Future[T]] = []

        def count() -> Count:
            ended = sum(future.done() for future in futures)
            return Count(self._counted[0], total, ended / max(len(each), 1), self._counted[1])

        with self._progress.of(done, what, count):
            futures += [asyncio.wrap_future(self._pool.submit(task, *arguments)) for arguments in each]
            try:
                return list(await asyncio.gather(*futures))
            except BrokenProcessPool:
                raise TickertapeError(
                    "a process of the replay was killed: if memory ran out, use fewer processes (--processes)"
                ) from None


def _begin(counts: Any) -> None:
    global _counts
    _counts = counts
    memory.tune()
    # Ctrl-C reaches all processes of a terminal; these end at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def note(events: int, newest_ms: int) -> None:
    """Add to the progress; called within a process of the pool."""
    with _counts.get_lock():
        _counts[0] += events
        _counts[1] = max(_counts[1], newest_ms)

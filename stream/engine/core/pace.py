"""When to flush: once for all blocks of a fetch, and less often during a backlog."""

import asyncio
from collections.abc import Callable
from time import monotonic

from tickertape.stream.engine.core.workload import Workload

# A fetch brings a block for each partition; all of them arrive within this time.
_TOGETHER_SECONDS = 0.001
# How many times as far apart flushes are while results are seconds old: then CPU time counts more.
_FAR_FACTOR = 2


class Pace:
    """Calls a function soon after a request, and limits how often.

    A call that fails may leave its work half done. Every later request then raises the same exception, because nobody
    would notice an exception in a timer.

    Parameters
    ----------
    call
        The function.
    backlog_seconds
        The least time between the starts of two calls during a backlog, seconds; during a large one it is twice as
        long.
    workload
        The worker's workload: it shows whether there is a backlog, and records the end of each call.
    share
        Backlog or not, calls start at least this many times as far apart as one takes, so they take at most one part in
        ``share`` of the time.
    """

    def __init__(self, call: Callable[[], None], backlog_seconds: float, workload: Workload, share: int) -> None:
        self._call = call
        self._backlog_seconds = backlog_seconds
        self._workload = workload
        self._share = share
        self._called = 0.0
        self._took_seconds = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None

    def ask(self, soon_seconds: float = _TOGETHER_SECONDS) -> None:
        """Schedule a call after some seconds, or when the least time between two calls is over."""
        if self._failure is not None:
            raise self._failure
        backlog_seconds = self._backlog_seconds if self._workload.behind else 0.0
        if self._workload.far_behind:
            backlog_seconds *= _FAR_FACTOR
        least_seconds = max(backlog_seconds, self._share * self._took_seconds)
        wait_seconds = max(self._called + least_seconds - monotonic(), soon_seconds)
        loop = asyncio.get_running_loop()
        if self._due is None or self._due.when() > loop.time() + wait_seconds:
            self.stop()
            self._due = loop.call_later(wait_seconds, self.now)

    def again(self) -> None:
        """Schedule a further call, from within a call that leaves work to do."""
        self.stop()
        wait_seconds = max(_TOGETHER_SECONDS, self._took_seconds)
        self._due = asyncio.get_running_loop().call_later(wait_seconds, self.now)

    def now(self) -> None:
        """Call the function now."""
        self.stop()
        if self._failure is not None:
            raise self._failure
        self._called = monotonic()
        try:
            self._call()
        except Exception as error:
            self._failure = error
            raise
        self._took_seconds = monotonic() - self._called
        self._workload.record_processed(self._took_seconds)

    def stop(self) -> None:
        """Cancel the scheduled call."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

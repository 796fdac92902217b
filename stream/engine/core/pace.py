"""When to flush: once for all that one fetch brings, seldom with a backlog."""

import asyncio
from collections.abc import Callable
from time import monotonic

from tickertape.stream.engine.core.workload import Workload

# What one fetch brings comes as a block a partition, within this.
_TOGETHER_SECONDS = 0.002
# A flush that takes long is not to take most of the time.
_SHARE = 4


class Pace:
    """Calls something soon after it is asked to.

    A call that fails may have left things half done: from then on whoever asks for another gets its exception instead,
    for that of a timer nobody would hear of.

    Parameters
    ----------
    call
        What to call.
    backlog_seconds
        The least time between two calls while there is a backlog; without one it is four times as long as they take.
    workload
        Whether there is one; it hears of the end of each call.
    """

    def __init__(self, call: Callable[[], None], backlog_seconds: float, workload: Workload) -> None:
        self._call = call
        self._backlog_seconds = backlog_seconds
        self._workload = workload
        self._called = 0.0
        self._took_seconds = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None

    def ask(self) -> None:
        """Have it called soon, or when the least time between two calls is over."""
        if self._failure is not None:
            raise self._failure
        least_seconds = max(self._backlog_seconds if self._workload.behind else 0.0, _SHARE * self._took_seconds)
        wait_seconds = max(self._called + least_seconds - monotonic(), _TOGETHER_SECONDS)
        loop = asyncio.get_running_loop()
        if self._due is None or self._due.when() > loop.time() + wait_seconds:
            self.stop()
            self._due = loop.call_later(wait_seconds, self.now)

    def again(self) -> None:
        """Have it called once more after the call that is going on, which left something to do."""
        self.stop()
        wait_seconds = max(_TOGETHER_SECONDS, self._took_seconds)
        self._due = asyncio.get_running_loop().call_later(wait_seconds, self.now)

    def now(self) -> None:
        """Call it."""
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
        self._workload.done()

    def stop(self) -> None:
        """Forget that it was asked."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

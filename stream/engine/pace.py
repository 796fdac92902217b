"""When to flush: at once when quiet, coalesced under load."""

import asyncio
from collections.abc import Callable
from time import monotonic

# A flush that takes long is not to take most of the time.
_SHARE = 8


class Pace:
    """Calls something soon after it is asked to, at most once in an interval.

    Parameters
    ----------
    call
        What to call.
    interval_seconds
        The least time between two calls; longer while calls take more than an eighth of the time.
    """

    def __init__(self, call: Callable[[], None], interval_seconds: float) -> None:
        self._call = call
        self._interval_seconds = interval_seconds
        self._next_seconds = 0.0
        self._due: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Have it called: now, or when the interval is over."""
        if self._due is None:
            wait_seconds = self._next_seconds - monotonic()
            if wait_seconds <= 0:
                self.now()
            else:
                self._due = asyncio.get_running_loop().call_later(wait_seconds, self.now)

    def now(self) -> None:
        """Call it, whatever the interval."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        began = monotonic()
        self._call()
        ended = monotonic()
        self._next_seconds = began + max(self._interval_seconds, _SHARE * (ended - began))

    def stop(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

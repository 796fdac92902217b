"""When events were received, as far as anybody can say: what heartbeats, merging and pacing go by.

The engine rejects an event whose time is further past its receipt than the skew. So a feed's own clocks pass over it:
one record of another century would else hold up a file for as long, or make all that follow it late.
"""

import time
from collections.abc import Callable

from tickertape.schemas.events import Event


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def receipt_ms(received_ms: int, now_ms: int) -> int:
    """Return when an event was received by the feed's word, but for one that is ahead of the time; else the time."""
    return min(received_ms, now_ms) if received_ms else now_ms


class Clock:
    """How far a file is: when its newest event was received. It never goes back.

    Parameters
    ----------
    skew_ms
        See `Settings`.
    now_ms
        The time, ms.
    """

    def __init__(self, skew_ms: int, now_ms: Callable[[], int] = now_ms) -> None:
        self._skew_ms = skew_ms
        self._now_ms = now_ms
        self._at_ms = 0

    def counts(self, event: Event) -> bool:
        """Return whether an event's time is no further past its receipt than it may be."""
        return event.time_ms <= receipt_ms(event.received_ms, self._now_ms()) + self._skew_ms

    def read(self, event: Event) -> int:
        """Return how far the file is with an event, ms: by when it was received, or else by its time."""
        if self.counts(event):
            at_ms = min(event.received_ms or event.time_ms, self._now_ms())
            self._at_ms = max(self._at_ms, at_ms)
        return self._at_ms

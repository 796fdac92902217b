"""Times of receipt, which heartbeats, the merging of files and pacing are based on.

The engine rejects an event whose time is past its receipt by more than the skew, so a feed's clocks ignore such an
event too. Otherwise one record from another century would delay a file until then, or make all later events late.
"""

import time
from collections.abc import Callable

from tickertape.schemas.events import Event


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def receipt_ms(received_ms: int, now_ms: int) -> int:
    """Return an event's receipt, but at most ``now_ms``; ``now_ms`` if the event has none (0)."""
    return min(received_ms, now_ms) if received_ms else now_ms


class Clock:
    """The position of a file in time: when its newest event was received. It never moves back.

    Parameters
    ----------
    skew_ms
        How far an event's time may be past its receipt, ms; see `Settings`.
    now_ms
        Returns the current time, ms.
    """

    def __init__(self, skew_ms: int, now_ms: Callable[[], int] = now_ms) -> None:
        self._skew_ms = skew_ms
        self._now_ms = now_ms
        self._at_ms = 0

    def counts(self, event: Event) -> bool:
        """Return whether an event's time is past its receipt by at most the skew."""
        return event.time_ms <= receipt_ms(event.received_ms, self._now_ms()) + self._skew_ms

    def read(self, event: Event) -> int:
        """Move on to an event's receipt, or to its time if it has none, and return the new position, ms.

        An event that doesn't count moves nothing.
        """
        if self.counts(event):
            at_ms = min(event.received_ms or event.time_ms, self._now_ms())
            self._at_ms = max(self._at_ms, at_ms)
        return self._at_ms

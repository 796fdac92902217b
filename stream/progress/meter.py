"""How far work is: its rate, and an estimate of what remains, from what is counted now and then."""

from collections import deque
from datetime import UTC, datetime

from msgspec import Struct

# The rate is that of so many last seconds: the mean since the start would hide a stall.
WINDOW_SECONDS = 10.0


class Count(Struct, frozen=True):
    """What has been counted at one moment.

    Attributes
    ----------
    done
        How much is done.
    total
        How much there is in all; None if nobody knows.
    share
        Without a total, the share that is done, 0 to 1, by another measure, such as files; None if there is none.
    newest_ms
        The newest event time that was met, ms; 0 for none.
    """

    done: float
    total: float | None = None
    share: float | None = None
    newest_ms: int = 0

    @property
    def part(self) -> float | None:
        """The share that is done, by the total or by the other measure."""
        if self.total is None:
            return self.share
        return 1.0 if self.total <= self.done else self.done / self.total


class State(Struct, frozen=True):
    """What is shown of work. As JSON, it is a line of `--json`.

    Attributes
    ----------
    what
        The verb, such as ``folded``.
    done, total, unit
        How much is done, of how much (null if nobody knows), and of what, such as ``events``.
    rate
        The units per second, in the last ten seconds.
    remaining_seconds
        An estimate of the time that remains; null if there is none.
    seconds
        The time since the start.
    newest_ms
        The newest event time that was met, ms; 0 for none.
    """

    what: str
    done: int
    total: int | None
    unit: str
    rate: float
    remaining_seconds: float | None
    seconds: float
    newest_ms: int

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        parts = [f"{self.what} {self.done:,}{of} {self.unit}", f"{self.rate:,.0f}/s"]
        if self.newest_ms:
            newest = datetime.fromtimestamp(self.newest_ms / 1000, UTC)
            parts.append(f"event time {newest:%Y-%m-%d %H:%M:%S} UTC")
        parts.append(clock(self.seconds))
        if self.remaining_seconds is not None:
            parts.append(f"about {clock(self.remaining_seconds)} left")
        return "   ".join(parts)


class Meter:
    """Makes states of counts.

    Parameters
    ----------
    what, unit
        See `State`.
    at_seconds
        The time of the start, by a clock that never goes back.
    """

    def __init__(self, what: str, unit: str, at_seconds: float) -> None:
        self._what, self._unit = what, unit
        self._began = at_seconds
        # The counts of the window, with the last one before it.
        self._counts: deque[tuple[float, Count]] = deque()

    def state(self, at_seconds: float, count: Count) -> State:
        """Return the state at a time.

        Parameters
        ----------
        at_seconds
            The time, by the clock of the start.
        count
            What has been counted by then.
        """
        counts = self._counts
        if not counts:
            counts.append((self._began, Count(0.0, count.total, None if count.share is None else 0.0)))
        counts.append((at_seconds, count))
        while len(counts) > 2 and counts[1][0] <= at_seconds - WINDOW_SECONDS:
            counts.popleft()
        before_seconds, before = counts[0]
        passed = max(at_seconds - before_seconds, 0.001)
        return State(
            self._what,
            int(count.done),
            None if count.total is None else int(count.total),
            self._unit,
            round(max(count.done - before.done, 0.0) / passed, 1),
            self._remaining(at_seconds, passed, before, count),
            round(at_seconds - self._began, 1),
            count.newest_ms,
        )

    def _remaining(self, at_seconds: float, passed: float, before: Count, count: Count) -> float | None:
        if (part := count.part) is None:
            return None
        if part >= 1:
            return 0.0
        if count.total is None:
            # The other measure takes large steps, so only its mean says something.
            gained, passed = part, at_seconds - self._began
        else:
            gained = (count.done - before.done) / count.total
        return round((1 - part) * passed / gained, 1) if gained > 0 else None


def clock(seconds: float) -> str:
    """Return a duration as hours, minutes and seconds: ``0:01:05``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"

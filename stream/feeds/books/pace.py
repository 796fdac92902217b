"""When, and in which way, the next snapshot of a book may be asked for."""

from collections.abc import Sequence

from tickertape.stream.feeds.define.book_rule import Way

# A snapshot that has not come for so long is asked for again.
ANSWER_SECONDS = 5.0
# The third request of a row waits for a second, and each further one twice as long, up to this.
LONGEST_SECONDS = 60.0
# After a book was live for so long, a new row begins.
STEADY_SECONDS = 60.0


class Pace:
    """When one book asks for a snapshot, and in which way. Times are of the monotonic clock, s.

    The first two requests are made at once: for a book that begins, and for one that breaks soon after. A book that
    breaks again and again asks less and less often.

    Parameters
    ----------
    ways
        The ways to a snapshot, in the order in which they are tried.

    Attributes
    ----------
    due
        When to ask, or to ask again; None if no snapshot is needed.
    way
        The way of the request that was made last; None if a snapshot has come since, or there was none.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways
        self._requests = 0
        self.due: float | None = None
        self._live_since: float | None = None
        self.way: Way | None = None

    def need(self, now: float) -> None:
        """Say that a snapshot is needed, or that the one that has come is no use."""
        if self._live_since is not None and now - self._live_since > STEADY_SECONDS:
            self._requests = 0
        self._live_since = None
        due = now + self._wait()
        self.due = due if self.due is None else min(self.due, due)

    def expect(self, now: float) -> None:
        """Say that a snapshot should come without a request. If it doesn't, it is asked for."""
        self.due, self._live_since = now + ANSWER_SECONDS, None

    def done(self, now: float) -> None:
        """Say that a snapshot has come, or isn't needed any more."""
        self.due, self.way, self._live_since = None, None, now

    def request(self, now: float) -> Way | None:
        """Return the way of a request that is due now; None if none is."""
        if self.due is None or now < self.due:
            return None
        self.way = self._ways[self._requests % len(self._ways)]
        self._requests += 1
        self.due = now + max(ANSWER_SECONDS, self._wait())
        return self.way

    def _wait(self) -> float:
        # No power of a large number: a book may ask for years.
        return 0.0 if self._requests < 2 else min(2.0 ** min(self._requests - 2, 30), LONGEST_SECONDS)

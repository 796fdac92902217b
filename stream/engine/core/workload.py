"""How busy a worker is: its agents record it, and its fetches and flushes are paced by it."""

from collections.abc import Callable
from time import monotonic

from faust.types import TP

from tickertape.schemas.frame import NEVER_MS

# After a flush, the next fetch waits this many times as long as the flush took: so fetches and flushes take half of the
# time at most, whatever they cost. Waiting for blocks isn't work, and earns no rest.
_REST_FACTOR = 1.0
# But no fetch waits longer than this many times the least time, whatever else happens.
_MAX_WAIT_FACTOR = 4
# While blocks are still being processed, the rest is unknown; it is computed again after this time.
_LOOK_SECONDS = 0.002
# A partition with a backlog is *held*, left out of fetches, while its event time is more than AHEAD_MS past what is
# final, and more than _MAX_SLICES_AHEAD slices are open beyond that.
AHEAD_MS = 10_000
_MAX_SLICES_AHEAD = 20_000
# Nothing is held if, over _LOOK_BACK_SECONDS, finals advanced less than _MIN_CATCH_UP_RATE times as fast as the clock:
# they then depend on a source with old event times that doesn't catch up, or on records further along a log that is
# itself held.
_LOOK_BACK_SECONDS = 10.0
_MIN_CATCH_UP_RATE = 1.25


class Workload:
    """A worker's backlog and working time. Agents write it in one thread, and fetches read it in another.

    Each attribute that the other thread reads is consistent at any time.

    Parameters
    ----------
    least_seconds
        The least time from an answer that brought records to the next fetch, seconds.
    count_holds
        Is given the number of partitions that begin to be held, when some do.
    """

    def __init__(self, least_seconds: float = 0.0, count_holds: Callable[[int], None] = lambda _: None) -> None:
        self._count_holds = count_holds
        self._least_seconds = least_seconds
        # The partitions with a backlog, and the event time that each has reached, ms.
        self._backlog: dict[TP, int] = {}
        # The partitions among them that are far behind.
        self._far: set[TP] = set()
        # By topic, at the last look back: up to when results were final, ms; when that was; whether they catch up.
        self._final: dict[str, tuple[int, float, bool]] = {}
        # By topic: the event time beyond which partitions with a backlog are held.
        self._limit_ms: dict[str, int] = {}
        # When all blocks received until then were processed, and how long the last flush took, seconds.
        self._processed = 0.0, 0.0
        #: Partitions to leave out of fetches: they are so far ahead of finals that their slices would pile up.
        self.held: frozenset[TP] = frozenset()

    def record_backlog(self, tp: TP, *, behind: bool, far: bool = False, at_ms: int = NEVER_MS) -> None:
        """Record whether a partition has a backlog, whether that is a large one, and its event time, ms.

        Without a time it is never held.
        """
        (self._far.add if far else self._far.discard)(tp)
        if behind:
            self._backlog[tp] = at_ms
        elif self._backlog.pop(tp, None) is None:
            return
        elif not self.has_backlog(tp.topic):
            self._forget(tp.topic)
        self._hold()

    def is_behind(self, tp: TP) -> bool:
        """Return whether a partition has a backlog."""
        return tp in self._backlog

    def has_backlog(self, topic: str) -> bool:
        """Return whether any partition of a topic has a backlog, held partitions included."""
        return any(tp.topic == topic for tp in self._backlog)

    def record_finals(self, topic: str, at_ms: int, open_ahead: int) -> None:
        """Record how far the results of a topic with a backlog are final.

        Parameters
        ----------
        topic
            The input topic.
        at_ms
            The event time up to which its results are final, ms.
        open_ahead
            The number of open slices that are more than `AHEAD_MS` plus the lateness ahead of that.
        """
        now = monotonic()
        was_ms, then, catching_up = self._final.get(topic, (at_ms, now, True))
        if now - then >= _LOOK_BACK_SECONDS:
            catching_up = at_ms - was_ms >= _MIN_CATCH_UP_RATE * 1000 * (now - then)
            was_ms, then = at_ms, now
        self._final[topic] = was_ms, then, catching_up
        if open_ahead > _MAX_SLICES_AHEAD and catching_up and at_ms > NEVER_MS:
            self._limit_ms[topic] = at_ms + AHEAD_MS
        else:
            self._limit_ms.pop(topic, None)
        self._hold()

    def clear(self, topic: str) -> None:
        """Forget a topic's partitions."""
        self._backlog = {tp: at_ms for tp, at_ms in self._backlog.items() if tp.topic != topic}
        self._far = {tp for tp in self._far if tp.topic != topic}
        self._forget(topic)
        self._hold()

    def _forget(self, topic: str) -> None:
        self._final.pop(topic, None)
        self._limit_ms.pop(topic, None)

    def _hold(self) -> None:
        limit_ms = self._limit_ms
        held = frozenset(
            tp for tp, at_ms in self._backlog.items() if tp.topic in limit_ms and at_ms > limit_ms[tp.topic]
        )
        if begun := len(held - self.held):
            self._count_holds(begun)
        self.held = held

    @property
    def behind(self) -> bool:
        """Whether any partition has a backlog: then reading goes before publishing."""
        return bool(self._backlog)

    @property
    def far_behind(self) -> bool:
        """Whether any partition has a large backlog: then what is published is seconds old."""
        return bool(self._far)

    def record_processed(self, took_seconds: float = 0.0) -> None:
        """Record that all blocks received so far are processed, and how long the flush that did it took."""
        self._processed = monotonic(), took_seconds

    def rest_seconds(self, since: float) -> float:
        """Return how many seconds to wait before asking again; zero or less: fetch now.

        Parameters
        ----------
        since
            When records last arrived, by the monotonic clock, seconds.
        """
        # A backlog is read without rests, unless all of it is held.
        if len(self.held) < len(self._backlog):
            return 0.0
        passed = monotonic() - since
        if passed < self._least_seconds:
            return self._least_seconds - passed
        processed_at, took_seconds = self._processed
        is_done = processed_at > since
        wait = processed_at - since + _REST_FACTOR * took_seconds if is_done else passed + _LOOK_SECONDS
        return min(wait, _MAX_WAIT_FACTOR * self._least_seconds) - passed

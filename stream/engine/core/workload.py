"""How busy a worker is, and with what: its agents tell, and its fetching and flushing go by it."""

from time import monotonic

from faust.types import TP

from tickertape.stream.engine.core.lanes import UNSET

# It rests for half as long as it has worked. To fetch sooner is dearer, and on a machine that is full it is later.
_REST = 1.5
# But no fetch waits for more than so many times the least, whatever goes on.
_MOST = 4
_LOOK_SECONDS = 0.002
# A partition of a backlog that is so far ahead of what is final waits,
AHEAD_MS = 10_000
# once more than so many slices are open beyond that,
_CROWD_SLICES = 20_000
# unless in so long final has hardly gone faster than the clock: then it hangs on a source whose times are old, not on
# one that catches up, or on what is yet to come in a log that waits.
_LOOK_BACK_SECONDS = 10.0
_GAIN = 1.25


class Workload:
    """What one thread tells and another asks; each of it is whole at any time.

    Parameters
    ----------
    least_seconds
        From an answer that brought records to the next fetch.
    """

    def __init__(self, least_seconds: float = 0.0) -> None:
        self._least_seconds = least_seconds
        # Those that are far from read, and how far each is in event time.
        self._backlog: dict[TP, int] = {}
        # By topic: up to when results were final, at what time, and whether that catches up; how far is to be read.
        self._final: dict[str, tuple[int, float, bool]] = {}
        self._limit_ms: dict[str, int] = {}
        self._done = 0.0
        #: Partitions that are to wait, for they are ahead of others of a backlog: what is read of them only piles up.
        self.held: frozenset[TP] = frozenset()

    def note(self, tp: TP, *, behind: bool, at_ms: int = UNSET) -> None:
        """Hear whether a partition is far from read, and how far it is in event time; without that it never waits."""
        if behind:
            self._backlog[tp] = at_ms
        elif self._backlog.pop(tp, None) is None:
            return
        elif not self.has_backlog(tp.topic):
            self._forget(tp.topic)
        self._hold()

    def has_backlog(self, topic: str) -> bool:
        """Whether any partition of a topic is far from read, one that waits too."""
        return any(tp.topic == topic for tp in self._backlog)

    def final(self, topic: str, at_ms: int, piled: int) -> None:
        """Hear of a topic that has a backlog.

        Parameters
        ----------
        topic
            Which.
        at_ms
            Up to when its results are final.
        piled
            How many slices are open that are more than `AHEAD_MS` ahead of that, lateness aside.
        """
        now = monotonic()
        was_ms, then, gains = self._final.get(topic, (at_ms, now, True))
        if now - then >= _LOOK_BACK_SECONDS:
            gains = at_ms - was_ms >= _GAIN * 1000 * (now - then)
            was_ms, then = at_ms, now
        self._final[topic] = was_ms, then, gains
        if piled > _CROWD_SLICES and gains and at_ms > UNSET:
            self._limit_ms[topic] = at_ms + AHEAD_MS
        else:
            self._limit_ms.pop(topic, None)
        self._hold()

    def clear(self, topic: str) -> None:
        """Forget a topic's partitions."""
        self._backlog = {tp: at_ms for tp, at_ms in self._backlog.items() if tp.topic != topic}
        self._forget(topic)
        self._hold()

    def _forget(self, topic: str) -> None:
        self._final.pop(topic, None)
        self._limit_ms.pop(topic, None)

    def _hold(self) -> None:
        limit_ms = self._limit_ms
        self.held = frozenset(
            tp for tp, at_ms in self._backlog.items() if tp.topic in limit_ms and at_ms > limit_ms[tp.topic]
        )

    @property
    def behind(self) -> bool:
        """Whether any partition is: then time goes to what there is to read, before what there is to say."""
        return bool(self._backlog)

    def done(self) -> None:
        """Hear that what was fetched is worked off, as far as it has come; until then all time counts as work."""
        self._done = monotonic()

    def rest_seconds(self, since: float) -> float:
        """Return how long to wait before it is asked again whether to fetch; zero or less: fetch now.

        Parameters
        ----------
        since
            When records came last, by the monotonic clock.
        """
        # Of a backlog that waits as a whole nothing is read.
        if len(self.held) < len(self._backlog):
            return 0.0
        passed = monotonic() - since
        if passed < self._least_seconds:
            return self._least_seconds - passed
        most = _MOST * self._least_seconds
        worked = self._done - since
        return min(_REST * worked if worked > 0 else passed + _LOOK_SECONDS, most) - passed

"""How busy a worker is: its agents tell, and its fetching and flushing go by it."""

from time import monotonic

from faust.types import TP

# It rests for half as long as it has worked. To fetch sooner is dearer, and on a machine that is full it is later.
_REST = 1.5
# But no fetch waits for more than so many times the least, whatever goes on.
_MOST = 4
_LOOK_SECONDS = 0.002


class Workload:
    """What one thread tells and another asks; each of it is whole at any time.

    Parameters
    ----------
    least_seconds
        From an answer that brought records to the next fetch.
    """

    def __init__(self, least_seconds: float = 0.0) -> None:
        self._least_seconds = least_seconds
        self._behind: set[TP] = set()
        self._done = 0.0

    def note(self, tp: TP, *, behind: bool) -> None:
        """Hear whether a partition is far from read."""
        if behind:
            self._behind.add(tp)
        else:
            self._behind.discard(tp)

    def clear(self, topic: str) -> None:
        """Forget a topic's partitions."""
        self._behind = {tp for tp in self._behind if tp.topic != topic}

    @property
    def behind(self) -> bool:
        """Whether any partition is: then time goes to what there is to read, before what there is to say."""
        return bool(self._behind)

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
        if self.behind:
            return 0.0
        passed = monotonic() - since
        if passed < self._least_seconds:
            return self._least_seconds - passed
        most = _MOST * self._least_seconds
        worked = self._done - since
        return min(_REST * worked if worked > 0 else passed + _LOOK_SECONDS, most) - passed

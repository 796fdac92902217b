"""What became of a live source's messages, as metrics."""

from typing import TYPE_CHECKING

from stream import metrics

if TYPE_CHECKING:
    from stream.feeds.live import Tally

# Fields of a tally that only grow; gaps are filled by what comes late.
_COUNTERS = {
    "garbage": metrics.FEED_UNREADABLE,
    "repeats": metrics.FEED_REPEATED,
    "dropped": metrics.FEED_DROPPED,
    "reconnects": metrics.FEED_RECONNECTS,
}


class Report:
    """The metrics of one source; they are there from the start.

    Parameters
    ----------
    source
        Its name.
    """

    def __init__(self, source: str) -> None:
        self._counters = {name: counter.labels(source) for name, counter in _COUNTERS.items()}
        self._told = dict.fromkeys(_COUNTERS, 0)
        self._missing = metrics.FEED_MISSING.labels(source)
        self._gaps = metrics.FEED_GAPS.labels(source)
        self._waiting = metrics.FEED_WAITING.labels(source)

    def look(self, tally: "Tally", waiting_bytes: int) -> None:
        """See what there is; to be called every second or so."""
        for name, counter in self._counters.items():
            count = getattr(tally, name)
            counter.inc(count - self._told[name])
            self._told[name] = count
        self._missing.set(tally.missing)
        self._gaps.set(tally.gaps)
        self._waiting.set(waiting_bytes)

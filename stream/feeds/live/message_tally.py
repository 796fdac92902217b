"""Counts of a live source's messages, and the metrics that show them."""

from collections import Counter

from msgspec import Struct, field

from tickertape.stream.errors import counted
from tickertape.stream.feeds.hosts.budget import used_ratios
from tickertape.stream.telemetry import feed_metrics as metrics

# Fields of a tally that only grow. Gaps and missing events don't: late events fill gaps.
_COUNTERS = {
    "garbage": metrics.FEED_UNREADABLE,
    "repeats": metrics.FEED_REPEATED,
    "dropped": metrics.FEED_DROPPED,
    "reconnects": metrics.FEED_RECONNECTS,
}
STATES = ("awaited", "confirmed", "refused", "silent")


class MessageTally(Struct):
    """Counts of a source's messages.

    Attributes
    ----------
    events
        Events that were sent on to Kafka, by topic.
    others
        Messages that are not events, by kind.
    garbage
        Messages that couldn't be read.
    repeats
        Events dropped because they had come before; if ids are not contiguous, also those that came after a later one.
    gaps, missing
        Gaps in contiguous ids, and the number of events missing in them: those never received, and those dropped.
    leaps
        Gaps between positions; how many events they had is unknown.
    dropped
        Messages dropped because Kafka was away or slow.
    unsent
        Messages that were still waiting when the feed was stopped.
    reconnects
        Connections beyond each line's first.
    connections
        Connections that are open.
    streams
        How many streams are in each of `STATES`; a silent one is confirmed too.
    blocked_seconds
        For how long a host wants to be left alone.
    """

    events: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    garbage: int = 0
    repeats: int = 0
    gaps: int = 0
    missing: int = 0
    leaps: int = 0
    dropped: int = 0
    unsent: int = 0
    reconnects: int = 0
    connections: int = 0
    streams: Counter[str] = field(default_factory=Counter)
    blocked_seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.events or self.others or self.garbage or self.dropped or self.unsent or self.reconnects)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.others.most_common())
        parts = [
            ", ".join(counted(count, topic) for topic, count in self.events.items()) or "no events",
            counted(self.others.total(), "other messages") + (f" ({kinds})" if kinds else ""),
            f"{self.garbage:,} unreadable",
            f"{self.repeats:,} repeated",
            f"{self.missing:,} missing in {counted(self.gaps, 'gaps')}"
            + (f" and {counted(self.leaps, 'leaps')}" if self.leaps else ""),
            f"{self.dropped:,} dropped",
            f"{self.unsent:,} not sent when stopped",
            counted(self.reconnects, "reconnects"),
        ]
        parts += [
            f"{counted(self.streams[state], 'streams')} {state}"
            for state in ("refused", "silent")
            if self.streams[state]
        ]
        return "; ".join(parts)


class MessageMetrics:
    """The metrics of one source, present from the start.

    Parameters
    ----------
    source
        The source's name.
    """

    def __init__(self, source: str) -> None:
        self._counters = {name: counter.labels(source) for name, counter in _COUNTERS.items()}
        self._told = dict.fromkeys(_COUNTERS, 0)
        self._waiting = metrics.FEED_WAITING.labels(source)
        self._connections = metrics.FEED_CONNECTIONS.labels(source)
        self._blocked = metrics.FEED_BLOCKED.labels(source)
        self._streams = {state: metrics.FEED_STREAMS.labels(source, state) for state in STATES}

    def look(self, tally: MessageTally, waiting_bytes: int) -> None:
        """Update the metrics; call it about once per second."""
        for name, counter in self._counters.items():
            count = getattr(tally, name)
            counter.inc(count - self._told[name])
            self._told[name] = count
        self._waiting.set(waiting_bytes)
        self._connections.set(tally.connections)
        self._blocked.set(tally.blocked_seconds)
        for state, gauge in self._streams.items():
            gauge.set(tally.streams[state])
        for (host, budget), ratio in used_ratios().items():
            metrics.FEED_BUDGET.labels(host, budget).set(ratio)

"""Silence of a stream, found against its own pace.

A stream's pace is the longest time between two of its events within the last quarter to half an hour. It is suspicious
once it is silent for four times as long, but for no less than `LEAST_SECONDS`. Until events came in `SURE` different
seconds, it is suspicious after `unknown_seconds` at the earliest. First it is asked for again; if it stays silent for
twice as long, its connection is renewed; after twice that it is asked for again, and so on. The first event ends it.

Of hundreds of streams whose pace isn't known, some are always suspicious. So a connection isn't renewed for that within
`RENEW_SECONDS` of the last time, unless half of the streams with a known pace are silent, or all if none is known.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from tickertape.stream.feeds.define.stream import Stream

TIMES = 4.0
LEAST_SECONDS = 5.0
SURE = 20
PERIOD_SECONDS = 900.0
RENEW_SECONDS = 600.0
# Patience doubles at most so often: from a minute to seventeen hours.
MOST_STRIKES = 10


class Silent(NamedTuple):
    """A stream that has become suspicious.

    Attributes
    ----------
    stream
        The stream.
    seconds
        For how long it has been silent.
    usual_seconds
        The longest time between two of its events lately; 0 if it isn't known.
    renew
        Whether asking again didn't help.
    """

    stream: Stream
    seconds: float
    usual_seconds: float
    renew: bool


class _Pace:
    """What is known of a stream's pace, and of its present silence."""

    __slots__ = ("before", "began", "longest", "quiet", "since", "spoke_at", "strikes", "sure")

    def __init__(self, now: float) -> None:
        self.longest = self.before = 0.0
        self.began = now
        self.sure = 0
        self.strikes = 0
        self.anew(now)

    def anew(self, now: float) -> None:
        """Watch it from now on: it has a new connection, or couldn't be watched for a while."""
        self.since = now
        self.spoke_at = 0.0
        self.quiet = 0.0

    @property
    def usual(self) -> float:
        return max(self.longest, self.before)

    def patience(self, unknown_seconds: float) -> float:
        least = LEAST_SECONDS if self.sure >= SURE else unknown_seconds
        return max(TIMES * self.usual, least) * 2.0 ** min(self.strikes, MOST_STRIKES)

    def spoke(self, at: float, now: float) -> None:
        """Learn from a silence that has ended. If it was a fault, it is forgotten with the period."""
        self.longest = max(self.longest, self.quiet)
        self.spoke_at = at
        self.sure += 1
        self.strikes = 0
        if now - self.began >= PERIOD_SECONDS and self.sure >= SURE:
            self.before, self.longest, self.began = self.longest, 0.0, now


class Silence:
    """The streams of one line, over all its connections. Times are in seconds of one clock.

    Parameters
    ----------
    streams
        The streams; rare ones are not watched.
    unknown_seconds
        See the module.
    """

    def __init__(self, streams: Sequence[Stream], unknown_seconds: float) -> None:
        self._streams = [stream for stream in streams if not stream.is_rare]
        self._unknown_seconds = unknown_seconds
        self._paces: dict[Stream, _Pace] = {}
        self._renewed_at = -math.inf

    @property
    def silent(self) -> list[Stream]:
        """The streams that are suspicious."""
        return [stream for stream, pace in self._paces.items() if pace.strikes > 0]

    def anew(self, now: float) -> None:
        """Begin with a new connection, or after a time in which nothing could be heard."""
        for pace in self._paces.values():
            pace.anew(now)

    def may_renew(self, now: float) -> bool:
        """Return whether the connection may be renewed; if so, it counts as renewed."""
        sure = [pace for pace in self._paces.values() if pace.sure >= SURE]
        judged = sure or list(self._paces.values())
        silent = sum(pace.strikes > 0 for pace in judged)
        is_faulty = 2 * silent >= len(judged) if sure else silent == len(judged)
        if not is_faulty and now - self._renewed_at < RENEW_SECONDS:
            return False
        self._renewed_at = now
        return True

    def look(self, now: float, heard: Mapping[tuple[type, str], int], unasked: Collection[Stream]) -> list[Silent]:
        """Return the streams that have become suspicious since the last look; call it about once a second.

        Parameters
        ----------
        now
            The time.
        heard
            By kind and symbol: when the connection brought the last event, ns.
        unasked
            Streams that aren't confirmed: they aren't silent, unless they are asked for because they were.
        """
        found = []
        for stream in self._streams:
            pace = self._paces.get(stream)
            if pace is None:
                pace = self._paces[stream] = _Pace(now)
            at = heard.get((stream.kind, stream.symbol), 0) / 1e9
            if at > max(pace.spoke_at, pace.since):
                pace.spoke(at, now)
            elif stream in unasked and not pace.strikes:
                pace.anew(now)
            pace.quiet = now - max(pace.spoke_at, pace.since)
            if pace.quiet > pace.patience(self._unknown_seconds):
                pace.strikes += 1
                found.append(Silent(stream, pace.quiet, pace.usual, pace.strikes % 2 == 0))
                if pace.strikes > MOST_STRIKES:
                    pace.anew(now)
        return found

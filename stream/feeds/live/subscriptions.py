"""What a connection has asked its source for: each stream is awaited, and one that fails alone is asked for again."""

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Answer, Stream

log = logging.getLogger(__name__)

# How long an answer may take, after the message that asks is sent.
ANSWER_SECONDS = 10.0
# The wait before a stream that is refused or isn't answered is asked for again; it doubles up to the longest.
FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 600.0
NO_ANSWER = "no answer"
# A connection on which nothing was ever answered, as often as this in turn, is of no use.
DEAF_TIMES = 3
# A log line names so many symbols.
NAMED = 8


class _Open:
    """A stream that isn't confirmed: asked for at ``asked``, and given up or asked for again at ``until``."""

    __slots__ = ("asked", "is_refused", "until", "wait_seconds")

    def __init__(self, asked: float, until: float) -> None:
        self.asked = asked
        self.until = until
        self.is_refused = False
        self.wait_seconds = FIRST_WAIT_SECONDS


class Subscriptions:
    """The streams of one connection. All times are of one clock, in seconds.

    Parameters
    ----------
    source
        The source.
    streams
        What is wanted.
    name
        The connection's name in log lines.
    told
        The streams that a log line has told of as refused, and why; it outlives the connection.
    """

    def __init__(self, source: Source, streams: Sequence[Stream], name: str, told: dict[Stream, str]) -> None:
        self._source = source
        self._streams = streams
        self._name = name
        self._told = told
        self._answers = type(source).answer is not Source.answer
        self._by_name: dict[tuple[str, str], list[Stream]] = {}
        for stream in streams:
            self._by_name.setdefault((stream.channel, stream.name), []).append(stream)
        self._open: dict[Stream, _Open] = {}
        # How often in turn; after any answer, never again.
        self._unanswered = 0.0

    @property
    def is_deaf(self) -> bool:
        """Whether the connection answers nothing at all."""
        return self._unanswered >= DEAF_TIMES

    @property
    def open(self) -> Collection[Stream]:
        """The streams that aren't confirmed."""
        return self._open.keys()

    @property
    def refused(self) -> int:
        """How many streams are refused, or have not been answered in time."""
        return sum(state.is_refused for state in self._open.values())

    @property
    def is_settled(self) -> bool:
        """Whether each stream is confirmed or refused."""
        return all(state.is_refused for state in self._open.values())

    def begin(self, now: float) -> list[str]:
        """Return the messages that ask for all streams."""
        return self._ask(self._streams, now)

    def again(self, streams: Sequence[Stream], now: float) -> list[str]:
        """Return the messages that end some streams and ask for them anew; none if they are in the address."""
        asked = self._ask(streams, now)
        return [*self._source.unsubscribe(streams), *asked] if asked else []

    def answered(self, answer: Answer, now: float) -> None:
        """Take an answer."""
        self._unanswered = -math.inf
        self._confirm(self._named(answer.confirmed))
        self._refuse(self._named(answer.refused), answer.why or "no reason given", now)

    def look(self, now: float, heard: Mapping[tuple[type, str], int]) -> list[str]:
        """Return the messages that ask again for streams whose time has come.

        Parameters
        ----------
        now
            The time.
        heard
            By kind and symbol: when the connection brought the last event, ns.
        """
        # Whoever sends a stream has confirmed it.
        self._confirm(
            [
                stream
                for stream, state in self._open.items()
                if heard.get((stream.kind, stream.symbol), 0) / 1e9 > state.asked
            ]
        )
        if len(self._open) < len(self._streams):
            self._unanswered = -math.inf
        overdue = [stream for stream, state in self._open.items() if now >= state.until and not state.is_refused]
        self._unanswered += bool(overdue)
        self._refuse(overdue, NO_ANSWER, now)
        return self._ask([stream for stream, state in self._open.items() if now >= state.until], now)

    def _ask(self, streams: Sequence[Stream], now: float) -> list[str]:
        messages = list(self._source.subscribe(streams)) if streams else []
        if messages and self._answers:
            until = now + len(messages) / self._source.messages_per_second + ANSWER_SECONDS
            for stream in streams:
                state = self._open.setdefault(stream, _Open(now, until))
                state.asked, state.until, state.is_refused = now, until, False
        return messages

    def _named(self, names: Iterable[tuple[str, str]]) -> list[Stream]:
        found: list[Stream] = []
        for channel, name in names:
            if channel and name:
                found += self._by_name.get((channel, name), ())
            else:
                found += [
                    stream for stream in self._streams if channel in ("", stream.channel) and name in ("", stream.name)
                ]
        return found

    def _confirm(self, streams: Iterable[Stream]) -> None:
        for stream in streams:
            self._open.pop(stream, None)
            if self._told.pop(stream, None) is not None:
                log.warning("%s: %s is confirmed now", self._name, named([stream]))

    def _refuse(self, streams: Iterable[Stream], why: str, now: float) -> None:
        news: list[Stream] = []
        for stream in streams:
            state = self._open.setdefault(stream, _Open(now, now))
            state.is_refused, state.until = True, now + state.wait_seconds
            state.wait_seconds = min(2 * state.wait_seconds, LONGEST_WAIT_SECONDS)
            if self._told.get(stream) != why:
                self._told[stream] = why
                news.append(stream)
        if news:
            log.warning(
                "%s: refused: %s (%s); it is asked for again after %g s, then ever more rarely",
                self._name,
                named(news),
                why,
                self._open[news[0]].until - now,
            )


def named(streams: Sequence[Stream]) -> str:
    """Return the names of streams for a log line: ``trade of BTC-USDT, ETH-USDT and 40 more``."""
    shown = ", ".join(f"{stream.channel or stream.kind.__name__} of {stream.symbol}" for stream in streams[:NAMED])
    return shown + (f" and {len(streams) - NAMED} more" if len(streams) > NAMED else "")

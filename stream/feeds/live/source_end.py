"""One line's part of a source: its address, its streams, and what is known of them over all its connections."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Stream
from tickertape.stream.feeds.hosts.budget import Budget, host_of
from tickertape.stream.feeds.live.conversation import Conversation
from tickertape.stream.feeds.live.inbox import Mark
from tickertape.stream.feeds.live.message_tally import MessageTally
from tickertape.stream.feeds.live.silence import Silence


class Receiver(Protocol):
    """What receives the messages of all lines."""

    @property
    def source(self) -> Source: ...

    @property
    def position(self) -> int: ...

    def receive(self, frame: bytes, line: int, talk: Conversation) -> bool: ...

    def mark(self, mark: Mark) -> None: ...

    async def room(self) -> None: ...


class SourceEnd:
    """The `End` of one line.

    Parameters
    ----------
    receiver
        What receives its messages.
    number
        The line's number. With two connections for each line, the second ones have the numbers past the last line's.
    name
        Its name in log lines.
    unknown_seconds
        The silence that is suspicious in a stream whose pace isn't known.

    Attributes
    ----------
    streams
        What is wanted of it.
    """

    def __init__(self, receiver: Receiver, number: int, name: str, unknown_seconds: float) -> None:
        source, addresses = receiver.source, receiver.source.urls(0)
        self.number = number
        self.name = name
        self.setting = source.setting
        self.leaves = None if type(source).leaves is Source.leaves else source.leaves
        self.room = receiver.room
        self.budget = Budget(host_of(addresses[number % len(addresses)]), source.limits)
        self.streams: tuple[Stream, ...] = tuple(source.streams(number % len(addresses)))
        self._receiver = receiver
        self._silence = Silence(self.streams, unknown_seconds)
        self._told: dict[Stream, str] = {}
        self._talk: Conversation | None = None
        self._is_new = False
        self._stands = False

    @property
    def talk(self) -> Conversation | None:
        """What is said on its newest connection; None before the first."""
        return self._talk

    @property
    def symbols(self) -> Sequence[str]:
        """The symbols whose trades it brings."""
        if not self.streams:
            return self._receiver.source.symbols
        return [stream.symbol for stream in self.streams if stream.kind is Trade]

    def stands(self) -> None:
        if not self._stands:
            self._stands = True
            self._receiver.mark(Mark(self.number, stands=True))

    def ended(self, talk: Conversation, *, is_last: bool) -> None:
        # Also if it never stood: it may have brought something.
        self._stands = self._stands and not is_last
        self._receiver.mark(Mark(self.number, False if is_last else None, talk))

    def url(self) -> str:
        urls = self._receiver.source.urls(self._receiver.position)
        return urls[self.number % len(urls)]

    def begin(self, send: Callable[[str], Awaitable[None]], renew: Callable[[], None]) -> Conversation:
        self._talk = Conversation(self._receiver.source, self.streams, self.name, self._told, send, renew)
        self._is_new = True
        return self._talk

    def receive(self, frame: bytes, talk: Conversation) -> bool:
        return self._receiver.receive(frame, self.number, talk)

    def look(self, now: float, *, anew: bool) -> None:
        """Look after the streams of its newest connection; see `Conversation`.

        Parameters
        ----------
        now
            The time up to which messages are decoded, s.
        anew
            True if nothing could be heard for a while.
        """
        if self._talk is None or self._talk.is_over or not self.streams:
            return
        if anew or self._is_new:
            self._silence.anew(now)
            self._is_new = False
        self._talk.look(now)
        self._talk.listen(now, self._silence)

    def note_heard(self, heard: dict[str, int]) -> None:
        """Note when the newest event of each symbol was received, ns."""
        if self._talk is not None:
            for (_, symbol), at_ns in self._talk.heard.items():
                heard[symbol] = max(heard.get(symbol, 0), at_ns)

    @property
    def refusals(self) -> Mapping[Stream, str]:
        """The streams that the source refuses now, each with the reason."""
        return self._told

    @property
    def silent(self) -> Collection[Stream]:
        """The streams that are silent against their own pace."""
        return self._silence.silent

    def count(self, tally: MessageTally) -> None:
        """Add its streams to the counts, by their state."""
        talk = self._talk
        awaited, refused = (len(self.streams), 0) if talk is None or talk.is_over else talk.states
        silent = len(self._silence.silent)
        tally.streams["awaited"] += awaited
        tally.streams["refused"] += refused
        tally.streams["silent"] += silent
        tally.streams["confirmed"] += len(self.streams) - awaited - refused

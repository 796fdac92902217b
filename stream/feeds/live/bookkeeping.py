"""Order books of a live source: their changes, their snapshots, and what is published of them."""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Sequence

import msgspec

from tickertape.schemas.events import Event
from tickertape.schemas.quote import Quote
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.books.books import Books, Request
from tickertape.stream.feeds.define.book_rule import BookRule
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.hosts.request import getter
from tickertape.stream.feeds.live.conversation import Conversation
from tickertape.stream.feeds.live.inbox import Inbox
from tickertape.stream.feeds.live.source_end import SourceEnd
from tickertape.stream.telemetry import feed_metrics as metrics

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
# A book asks again by itself, so no request waits long for the budget of its host.
PATIENCE_SECONDS = 30.0


class Bookkeeping:
    """Passes a source's changes to its `Books`, and carries out what these ask for.

    Parameters
    ----------
    source
        The source.
    rule
        How its books are kept.
    ends
        Its lines.
    inbox
        Where its messages wait.

    Attributes
    ----------
    books
        The books.
    """

    def __init__(self, source: Source, rule: BookRule, ends: Sequence[SourceEnd], inbox: Inbox) -> None:
        self._source = source
        self._ends = ends
        self._inbox = inbox
        self._number = re.compile(re.escape(source.counter) + rb" ?(\d{1,18})") if source.counter else None
        self._get = getter(source.limits, PATIENCE_SECONDS)
        streams = [stream for end in ends for stream in end.streams]
        self.books = Books(
            source.name,
            rule,
            list(dict.fromkeys(stream.symbol for stream in streams if stream.kind is Change)),
            quotes=not any(stream.kind is Quote for stream in streams),
            base_per_unit=source.base_per_unit,
            now=time.monotonic(),
        )
        self._told = Counter[str]()
        self._made: list[Event] = []
        self._fetches: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look after the books, without end."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self.books.look(time.monotonic())
                self._made += self.books.depths(time.time_ns() // 1_000_000)
                self.ask()
                self._count()
                if self._made:
                    self._inbox.wake()
        finally:
            for task in self._fetches.values():
                task.cancel()

    def _count(self) -> None:
        """Update the metrics."""
        source = self._source.name
        for state, count in self.books.states.items():
            metrics.FEED_BOOKS.labels(source, state).set(count)
        for reason, count in (self.books.tally.broken - self._told).items():
            metrics.FEED_BOOK_BREAKS.labels(source, reason).inc(count)
        self._told = Counter(self.books.tally.broken)

    def count(self, frame: bytes, now: float, talk: Conversation) -> None:
        """Take note of a message, before its changes, if the source numbers all messages of a connection."""
        if self._number is not None and (found := self._number.search(frame)) is not None:
            self.books.count(int(found[1]), now, talk)

    def take(self, change: Change, now: float, talk: Conversation | None) -> None:
        """Take a change."""
        quote = self.books.take(change, now, talk)
        if quote is not None:
            self._made.append(quote)

    def ask(self) -> None:
        """Ask for the snapshots that books need now."""
        for request in self.books.requests(time.monotonic()):
            if request.way == "subscribe":
                self._subscribe(request)
            elif request.symbol not in self._fetches:
                self._fetches[request.symbol] = asyncio.create_task(self._fetch(request.symbol))

    def _subscribe(self, request: Request) -> None:
        talks = [end.talk for end in self._ends] if request.connection is None else [request.connection]
        for talk in talks:
            if isinstance(talk, Conversation):
                talk.again(Change, request.symbol)

    async def _fetch(self, symbol: str) -> None:
        try:
            change = await self._source.snapshot(self._get, symbol)
        except (InputError, OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            log.warning("%s: no snapshot of the book of %s: %s", self._source.name, symbol, error)
            return
        finally:
            del self._fetches[symbol]
        self.take(change, time.monotonic(), None)
        self._inbox.wake()

    def drained(self) -> list[Event]:
        """Return the quotes and depths that were made since the last call."""
        made, self._made = self._made, []
        return made

"""A live source: its lines, the events that they bring, and counts of its messages."""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from tickertape.schemas.events import TOPICS, Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.errors import counted
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.bookkeeping import Bookkeeping
from tickertape.stream.feeds.live.connection import Line, Patience
from tickertape.stream.feeds.live.conversation import Conversation
from tickertape.stream.feeds.live.gaps import Gaps
from tickertape.stream.feeds.live.ids import SETTLE_SECONDS, Ids, Recent
from tickertape.stream.feeds.live.inbox import Inbox, Mark, Message
from tickertape.stream.feeds.live.message_tally import MessageMetrics, MessageTally
from tickertape.stream.feeds.live.polling import Polling
from tickertape.stream.feeds.live.recording import Recording
from tickertape.stream.feeds.live.source_end import SourceEnd
from tickertape.stream.feeds.live.symbol_metrics import SymbolMetrics
from tickertape.stream.feeds.refill import refill
from tickertape.stream.feeds.refill.filling import Filling
from tickertape.stream.telemetry.feed_metrics import FEED_DELAY

log = logging.getLogger(__name__)

# The interval at which recordings are written, gaps reported, silence looked for and metrics updated.
TICK_SECONDS = 1.0
# After a tick that is later than this, or if the clock was set, nobody knows what could have been heard.
LATE_SECONDS = 3.0
# How long messages are decoded before sockets are read again.
TURN_SECONDS = 0.02
# The least time between two log lines about messages that can't be read.
GARBAGE_SECONDS = 60.0
GARBAGE_SHOWN = 200


class Live:
    """The events of a live source, as they come.

    Parameters
    ----------
    source
        The source.
    patience
        The time limits of its lines.
    buffer_bytes
        The most bytes of messages that may wait for Kafka.
    folder
        Where to record each message as it comes; None to record nothing.
    refill_patience
        How long missing trades are waited for, if the source `refills`.
    redundant
        True to have two connections for each line at once. Events that both bring are taken once.

    Attributes
    ----------
    source
        As given.
    position
        The highest position received. Set it before `batches` to resume from there.
    handed_over
        The highest position whose event, if it had one, was handed to the producer.
    ends
        Its lines, each with its streams.
    heard
        By symbol: when its newest event was received, ns; as of the last second.

    Raises
    ------
    InputError
        The folder can't be written to.
    """

    def __init__(
        self,
        source: Source,
        patience: Patience,
        *,
        buffer_bytes: int,
        folder: Path | None = None,
        redundant: bool = False,
        refill_patience: refill.Patience | None = None,
    ) -> None:
        self.source = source
        self.position = 0
        self.handed_over = 0
        self.heard: dict[str, int] = {}
        self._patience = patience
        self._inbox = Inbox(source.name, buffer_bytes, loses=not source.resumes)
        self.ends = [
            SourceEnd(self, number, name, patience.silence_seconds)
            for number, name in enumerate(_names(source.name, len(source.urls(0)), twice=redundant))
        ]
        self._lines = [Line(end, patience) for end in self.ends]
        self._recordings = [Recording(folder, f"{source.name}-{end.number}") for end in self.ends] if folder else []
        self._ids: dict[type, Ids] = {
            kind: Ids(
                source.name,
                TOPICS[kind].name,
                contiguous=kind in source.contiguous,
                # What is asked for is named only if it can't be had.
                settle_seconds=math.inf if source.refills and kind is Trade else SETTLE_SECONDS,
            )
            for kind in (*source.contiguous, *source.rising)
        }
        self._recent = Recent()
        self._gaps: Gaps | None = None
        if source.refills:
            self._gaps = Gaps(source, self.ends, self._inbox, self._is_new, refill_patience or refill.Patience())
        # Held while events that were released are handed over.
        self._handing = asyncio.Lock()
        # By kind: returns whether an event is to be sent.
        self._checks: dict[type, Callable[[Any, float], bool]] = {Trade: self._is_new, Quote: self._is_new}
        self._books: Bookkeeping | None = None
        if source.book_rule is not None:
            self._books = Bookkeeping(source, source.book_rule, self.ends, self._inbox)
        self._polling = Polling(source, self._inbox.wake) if source.poll_seconds and source.symbols else None
        self._tally = MessageTally()
        self._metrics = MessageMetrics(source.name)
        self._by_symbol = SymbolMetrics(source)
        self._delay = FEED_DELAY.labels(source.name)
        self._garbage_told = 0
        self._garbage_told_at = -math.inf
        self._dropped = 0
        self._looked = (0.0, 0.0, 0)

    @property
    def tally(self) -> MessageTally:
        """The counts of messages so far."""
        ids, tally = self._ids.values(), self._tally
        tally.repeats = sum(each.repeats for each in ids) + self._recent.repeats
        tally.gaps, tally.missing = sum(each.gaps for each in ids), sum(each.missing for each in ids)
        tally.dropped, tally.unsent = self._inbox.dropped, len(self._inbox)
        tally.reconnects = sum(max(line.connections - 1, 0) for line in self._lines)
        tally.connections = sum(line.open for line in self._lines)
        tally.blocked_seconds = max(end.budget.blocked_seconds for end in self.ends)
        tally.streams.clear()
        for end in self.ends:
            end.count(tally)
        return tally

    async def batches(self) -> AsyncIterator[list[Event]]:
        """Yield events whenever some have come, without end.

        Raises
        ------
        ConfigError
            An address is invalid.
        InputError
            The server refuses permanently.
        """
        parts = (*self._lines, self.filling, self._books, self._polling)
        tasks = [asyncio.create_task(self._keep(part.run)) for part in parts if part is not None]
        tasks.append(asyncio.create_task(self._tick()))
        try:
            while True:
                messages = await self._inbox.next_batch()
                async with self._handing:
                    for events in self._read(messages):
                        if events:
                            yield events
                        # Let sockets be read, even if the consumer of the events never waits.
                        await asyncio.sleep(0)
                if self.source.resumes:
                    positions = (self.source.position(message.frame) for message in messages if message.frame)
                    self.handed_over = max(self.handed_over, *positions, 0)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._look_after(math.inf)

    def receive(self, frame: bytes, line: int, talk: Conversation) -> bool:
        """Take a message from a line; return False if there is no room for it."""
        received_ns = time.time_ns()
        if not self._inbox.add(Message(received_ns, frame, talk)):
            return False
        if self._recordings:
            self._recordings[line].add(frame, received_ns)
        if self.source.resumes:
            self._move(self.source.position(frame))
        return True

    def mark(self, mark: Mark) -> None:
        """Take note of the state of a line, between its messages."""
        self._inbox.mark(mark)

    @property
    def filling(self) -> Filling | None:
        """What asks for missing trades; None if the source doesn't refill."""
        return None if self._gaps is None else self._gaps.filling

    def resume(self, complete: Mapping[str, refill.Seen]) -> None:
        """Go on from where an earlier feed's trades were complete, by symbol. Call it before `batches`."""
        if self._gaps is not None:
            for symbol, seen in complete.items():
                self._ids[Trade].resume(symbol, seen.id, seen.time_ms)
            self._gaps.filling.resume(complete)

    async def complete(self) -> dict[str, refill.Seen]:
        """Return up to where each symbol's trades were handed over or given up; empty if the source doesn't refill."""
        if self._gaps is None:
            return {}
        async with self._handing:
            return self._gaps.filling.complete()

    async def room(self) -> None:
        """Wait until a message would be taken."""
        await self._inbox.room()

    def _move(self, position: int) -> None:
        before, self.position = self.position, max(self.position, position)
        if before and position - before > self.source.leap:
            self._tally.leaps += 1
            log.warning(
                "%s: messages are missing between position %d and %d: the source has not kept them",
                self.source.name,
                before,
                position,
            )

    async def _keep(self, run: Callable[[], Awaitable[None]]) -> None:
        """Run something that never ends. If it fails, so does `batches`."""
        try:
            await run()
        except Exception as error:
            self._inbox.fail(error)

    async def _tick(self) -> None:
        began, told = time.monotonic(), any(end.streams for end in self.ends)
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._look_after(now := time.monotonic())
            self._listen(now, time.time())
            # Where streams are known, each is looked after by itself.
            if not told and now - began >= self._patience.silence_seconds:
                told = True
                self._tell_of_unheard()

    def _tell_of_unheard(self) -> None:
        if unheard := [symbol for symbol in self.source.symbols if symbol not in self.heard]:
            log.warning(
                "%s: no events received for %s: quiet, or unknown to the source",
                self.source.name,
                ", ".join(unheard),
            )

    def _look_after(self, now: float) -> None:
        for recording in self._recordings:
            recording.flush()
        for ids in self._ids.values():
            ids.name_gaps(now)
        for end in self.ends:
            end.note_heard(self.heard)
        self._metrics.look(self.tally, self._inbox.size_bytes)
        silent = [stream for end in self.ends for stream in end.silent]
        self._by_symbol.look(self._ids.values(), silent, self.heard)

    def _listen(self, now: float, wall: float) -> None:
        """Look after the streams of each line, as of the last message that is decoded.

        While Kafka is away, messages wait undecoded, and no silence can be told from that.
        """
        before, wall_before, dropped = self._looked
        self._looked = (now, wall, self._inbox.dropped)
        is_late = not before or max(now - before, abs(wall - wall_before)) > TICK_SECONDS + LATE_SECONDS
        for end in self.ends:
            end.look(self._inbox.oldest_ns / 1e9 or wall, anew=is_late or self._inbox.dropped != dropped)

    def _read(self, messages: list[Message]) -> Iterator[list[Event]]:
        """Decode messages and yield their events, as many at a time as `TURN_SECONDS` allows."""
        normalise, others, clock, checks = self.source.normalise, self._tally.others, time.monotonic, self._checks
        books, turn = self._books, clock()
        if self._dropped != self._inbox.dropped:
            self._dropped = self._inbox.dropped
            self._missed(turn)
        events: list[Event] = []
        for received_ns, frame, talk in messages:
            if not frame and isinstance(talk, Mark):
                yield self._counted(events)
                events = []
                self._marked(talk, clock())
                continue
            if (now := clock()) - turn > TURN_SECONDS:
                yield self._counted(events)
                events, turn = [], now
            if books is not None:
                books.count(frame, now, talk)
            try:
                found = normalise(frame, received_ns // 1_000_000)
            except (ValueError, msgspec.MsgspecError, RecursionError) as error:
                if not talk.answered(frame, received_ns):
                    self._turn_down(frame, error, now)
                continue
            if isinstance(found, Other):
                others[found.kind] += 1
                talk.answered(frame, received_ns)
                continue
            heard = talk.heard
            several: list[Any] | tuple[Any] = found if isinstance(found, list) else (found,)
            for event in several:
                kind = type(event)
                if kind is Other:
                    others[event.kind] += 1
                    talk.answered(frame, received_ns)
                    continue
                heard[kind, getattr(event, "symbol", "")] = received_ns
                if kind is Change:
                    self._take(event, now, talk)
                    continue
                check = checks.get(kind)
                if check is None or check(event, now):
                    events.append(event)
        yield self._counted(events)

    def _counted(self, events: list[Event]) -> list[Event]:
        if self._gaps is not None:
            events = self._gaps.through(events)
        if self._books is not None:
            self._books.ask()
            events = [*events, *self._books.drained()]
        if events and (received_ms := events[0].received_ms) and received_ms != events[0].time_ms:
            # An event without a time of its own has that of its receipt.
            self._delay.observe((received_ms - events[0].time_ms) / 1000)
        if self._polling is not None:
            events = [*events, *self._polling.drained()]
        for kind, count in Counter(map(type, events)).items():
            self._tally.events[TOPICS[kind].name] += count
        return events

    def _missed(self, now: float) -> None:
        """Take note that messages were dropped before those that are read next. They may have been of any symbol."""
        if self._gaps is not None:
            self._gaps.missed()
        if self._books is not None:
            self._books.books.miss(now)

    def _marked(self, mark: Mark, now: float) -> None:
        if self._gaps is not None:
            self._gaps.marked(mark)
        if self._books is not None and mark.over is not None:
            self._books.books.lose(mark.over, now)

    def _take(self, change: Change, now: float, talk: Conversation) -> None:
        if self._books is None:
            self._tally.others["book"] += 1
        else:
            self._books.take(change, now, talk)

    def _is_new(self, event: Trade | Quote, now: float) -> bool:
        kind = type(event)
        ids, number = self._ids.get(kind), event.id
        # An id that is a text says nothing of others.
        if ids is None or isinstance(number, str):
            return self._recent.is_new((kind, event.symbol, number))
        last = event.last_id if isinstance(event, Trade) else None
        return ids.is_new(event.symbol, number, now, event.time_ms, last=last)

    def _turn_down(self, frame: bytes, error: Exception, now: float) -> None:
        self._tally.garbage += 1
        if self._books is not None:
            # It may have been of a book.
            self._books.books.miss(now)
        if now - self._garbage_told_at < GARBAGE_SECONDS:
            return
        count, self._garbage_told, self._garbage_told_at = (
            self._tally.garbage - self._garbage_told,
            self._tally.garbage,
            now,
        )
        text = frame[:GARBAGE_SHOWN].decode(errors="replace")
        what = counted(count, "messages")
        log.warning("%s: %s can't be read; the last, %r: %s", self.source.name, what, text, error)


def _names(source: str, count: int, *, twice: bool) -> list[str]:
    """Return the name of each line; if there are two of each, the second ones come last."""
    names = [source if count == 1 else f"{source}, line {n + 1} of {count}" for n in range(count)]
    return [f"{name}, {which}" for which in ("first", "second") for name in names] if twice else names

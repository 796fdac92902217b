"""A live source: its lines, the events that they bring, and counts of its messages."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec

from tickertape.schemas.events import TOPICS, Event
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.connection import Line, Patience
from tickertape.stream.feeds.live.ids import Ids
from tickertape.stream.feeds.live.inbox import Inbox, Message
from tickertape.stream.feeds.live.message_tally import MessageMetrics, MessageTally
from tickertape.stream.feeds.live.recording import Recording

log = logging.getLogger(__name__)

# The interval at which recordings are written, gaps reported and metrics updated.
TICK_SECONDS = 1.0
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

    Attributes
    ----------
    source
        As given.
    position
        The highest position received. Set it before `batches` to resume from there.
    handed_over
        The highest position whose event, if it had one, was handed to the producer.

    Raises
    ------
    InputError
        The folder can't be written to.
    """

    def __init__(self, source: Source, patience: Patience, *, buffer_bytes: int, folder: Path | None = None) -> None:
        self.source = source
        self.position = 0
        self.handed_over = 0
        self._patience = patience
        self._inbox = Inbox(source.name, buffer_bytes, loses=not source.resumes)
        count = len(source.urls(0))
        names = [source.name if count == 1 else f"{source.name}, line {n + 1} of {count}" for n in range(count)]
        self._lines = [Line(_End(self, number, name), patience) for number, name in enumerate(names)]
        self._recordings = [Recording(folder, f"{source.name}-{number}") for number in range(count)] if folder else []
        self._ids: dict[type, Ids] = {
            kind: Ids(source.name, TOPICS[kind].name, contiguous=kind in source.contiguous)
            for kind in (*source.contiguous, *source.rising)
        }
        self._tally = MessageTally()
        self._metrics = MessageMetrics(source.name)
        self._garbage_told = 0
        self._garbage_told_at = -math.inf

    @property
    def tally(self) -> MessageTally:
        """The counts of messages so far."""
        ids, tally = self._ids.values(), self._tally
        tally.repeats = sum(each.repeats for each in ids)
        tally.gaps, tally.missing = sum(each.gaps for each in ids), sum(each.missing for each in ids)
        tally.dropped, tally.unsent = self._inbox.dropped, len(self._inbox)
        tally.reconnects = sum(max(line.connections - 1, 0) for line in self._lines)
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
        tasks = [asyncio.create_task(self._keep(line)) for line in self._lines]
        tasks.append(asyncio.create_task(self._tick()))
        try:
            while True:
                messages = await self._inbox.next_batch()
                for events in self._read(messages):
                    if events:
                        yield events
                    # Let sockets be read, even if the consumer of the events never waits.
                    await asyncio.sleep(0)
                if self.source.resumes:
                    positions = [self.source.position(message.frame) for message in messages]
                    self.handed_over = max(self.handed_over, *positions)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._look_after(math.inf)

    def receive(self, frame: bytes, line: int) -> bool:
        """Take a message from a line; return False if there is no room for it."""
        message = Message(time.time_ns(), frame)
        if not self._inbox.add(message):
            return False
        if self._recordings:
            self._recordings[line].add(message.frame, message.received_ns)
        if self.source.resumes:
            self._move(self.source.position(frame))
        return True

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

    async def _keep(self, line: Line) -> None:
        try:
            await line.run()
        except Exception as error:
            self._inbox.fail(error)

    async def _tick(self) -> None:
        began = time.monotonic()
        while (now := time.monotonic()) - began < self._patience.silence_seconds:
            await asyncio.sleep(TICK_SECONDS)
            self._look_after(now)
        heard = {symbol for ids in self._ids.values() for symbol in ids.symbols}
        if unheard := [symbol for symbol in self.source.symbols if symbol not in heard]:
            log.warning(
                "%s: no events received for %s: quiet, or unknown to the source",
                self.source.name,
                ", ".join(unheard),
            )
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._look_after(time.monotonic())

    def _look_after(self, now: float) -> None:
        for recording in self._recordings:
            recording.flush()
        for ids in self._ids.values():
            ids.name_gaps(now)
        self._metrics.look(self.tally, self._inbox.size_bytes)

    def _read(self, messages: list[Message]) -> Iterator[list[Event]]:
        """Decode messages and yield their events, as many at a time as `TURN_SECONDS` allows."""
        normalise, others, turn = self.source.normalise, self._tally.others, time.monotonic()
        events: list[Event] = []
        for message in messages:
            if (now := time.monotonic()) - turn > TURN_SECONDS:
                yield self._counted(events)
                events, turn = [], now
            try:
                found = normalise(message.frame, message.received_ns // 1_000_000)
            except (ValueError, msgspec.MsgspecError, RecursionError) as error:
                self._turn_down(message.frame, error, now)
                continue
            if isinstance(found, Other):
                others[found.kind] += 1
                continue
            several = found if isinstance(found, list) else [found]
            for event in several:
                if isinstance(event, Change):
                    # Nobody keeps books yet.
                    others["book"] += 1
                elif self._is_new(event, now):
                    events.append(event)
        yield self._counted(events)

    def _counted(self, events: list[Event]) -> list[Event]:
        self._tally.events.update(TOPICS[type(event)].name for event in events)
        return events

    def _is_new(self, event: Event, now: float) -> bool:
        ids = self._ids.get(type(event))
        # An id that is a text says nothing of others. A worker counts a repeated one once.
        if ids is None or not isinstance(event, Trade | Quote) or isinstance(event.id, str):
            return True
        last = event.last_id if isinstance(event, Trade) else None
        return ids.is_new(event.symbol, event.id, now, event.time_ms, last=last)

    def _turn_down(self, frame: bytes, error: Exception, now: float) -> None:
        self._tally.garbage += 1
        if now - self._garbage_told_at < GARBAGE_SECONDS:
            return
        count, self._garbage_told, self._garbage_told_at = (
            self._tally.garbage - self._garbage_told,
            self._tally.garbage,
            now,
        )
        text = frame[:GARBAGE_SHOWN].decode(errors="replace")
        log.warning("%s: %d messages can't be read; the last, %r: %s", self.source.name, count, text, error)


class _End:
    """The `End` of one line: its part of the source, and the `Live` that receives its messages."""

    def __init__(self, live: Live, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.setting = live.source.setting
        self.hello = (*live.source.hello, *live.source.subscribe(live.source.streams(number)))
        self.leaves = live.source.leaves
        self.room = live.room
        self._live = live

    def url(self) -> str:
        return self._live.source.urls(self._live.position)[self.number]

    def receive(self, frame: bytes) -> bool:
        return self._live.receive(frame, self.number)

"""The bounded buffer between sockets and Kafka, so that no socket ever waits for Kafka."""

import asyncio
import logging
import time
from collections import deque
from typing import Any, NamedTuple

from tickertape.stream.errors import counted

log = logging.getLogger(__name__)

# The memory of a message besides its text.
OVERHEAD_BYTES = 150
# The most messages in a batch: sockets may wait while it is decoded.
BATCH_MESSAGES = 1000


class Message(NamedTuple):
    """A message as it came, its receipt by our clock, and the conversation that it is part of.

    An empty frame with a `Mark` isn't a message: a line's state changes between the messages before and after it.
    """

    received_ns: int
    frame: bytes
    talk: Any = None


class Mark(NamedTuple):
    """The state of a line from here on.

    Attributes
    ----------
    line
        Its number.
    stands
        Whether it has a connection that brings what is wanted; None: as before.
    over
        The conversation of a connection that has ended; None if none has.
    """

    line: int
    stands: bool | None
    over: Any = None


class Inbox:
    """A bounded queue of messages.

    If it is full, because Kafka is away or slow, the oldest messages are dropped and counted. Once Kafka accepts
    messages again, the oldest would be past the horizon within which results can be corrected, and the newest are not.
    A source that can send messages again loses none: new messages are refused until half of the buffer is free.

    Parameters
    ----------
    name
        Its name in log lines.
    most_bytes
        How much it may hold.
    loses
        True to drop the oldest messages. False if the source sends a refused message again.

    Attributes
    ----------
    dropped
        The number of messages dropped.
    """

    def __init__(self, name: str, most_bytes: int, *, loses: bool) -> None:
        self._name = name
        self._most_bytes = most_bytes
        self._loses = loses
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._failure: BaseException | None = None
        self._dropping_from: Message | None = None
        self._dropping_to: Message | None = None
        self._dropped_before = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def size_bytes(self) -> int:
        """The size of the messages that wait."""
        return self._bytes

    @property
    def oldest_ns(self) -> int:
        """The receipt of the oldest message that waits; 0 if none does."""
        return self._messages[0].received_ns if self._messages else 0

    def add(self, message: Message) -> bool:
        """Add a message; return False if it is refused, which happens only if messages are never dropped."""
        size_bytes = len(message.frame) + OVERHEAD_BYTES
        if not self._loses:
            if self._messages and self._bytes + size_bytes > self._most_bytes:
                self._room.clear()
            if not self._room.is_set():
                return False
        self._messages.append(message)
        self._bytes += size_bytes
        self._some.set()
        if self._bytes > self._most_bytes:
            self._make_room()
        return True

    def mark(self, mark: Mark) -> None:
        """Add a change of a line's state. It is never refused."""
        self._messages.append(Message(time.time_ns(), b"", mark))
        self._bytes += OVERHEAD_BYTES
        self._some.set()

    def wake(self) -> None:
        """Make `next_batch` return, though perhaps without a message."""
        self._some.set()

    def fail(self, error: BaseException) -> None:
        """Make `next_batch` raise this error, once all messages before it are taken."""
        self._failure = self._failure or error
        self._some.set()

    async def next_batch(self) -> list[Message]:
        """Wait for messages and return them, the oldest first."""
        await self._some.wait()
        if not self._messages and self._failure is not None:
            raise self._failure
        pop = self._messages.popleft
        taken = [pop() for _ in range(min(BATCH_MESSAGES, len(self._messages)))]
        self._bytes -= sum(len(message.frame) + OVERHEAD_BYTES for message in taken)
        if self._bytes <= self._most_bytes // 2:
            self._room.set()
            self._tell_of_dropped()
        if not self._messages and self._failure is None:
            self._some.clear()
        return taken

    async def room(self) -> None:
        """Wait until a message would not be refused."""
        await self._room.wait()

    def _make_room(self) -> None:
        while self._bytes > self._most_bytes and len(self._messages) > 1:
            self._drop()

    def _drop(self) -> None:
        message = self._messages.popleft()
        self._bytes -= len(message.frame) + OVERHEAD_BYTES
        if self._dropping_from is None:
            self._dropping_from, self._dropped_before = message, self.dropped
            log.warning(
                "%s: Kafka is away or slow, and the buffer is full with %s: the oldest are dropped",
                self._name,
                counted(len(self._messages), "messages"),
            )
        self._dropping_to = message
        self.dropped += 1

    def _tell_of_dropped(self) -> None:
        if self._dropping_from is None or self._dropping_to is None:
            return
        count = self.dropped - self._dropped_before
        seconds = (self._dropping_to.received_ns - self._dropping_from.received_ns) / 1e9
        log.warning(
            "%s: Kafka accepts messages again; %s of %.1f s %s dropped",
            self._name,
            counted(count, "messages"),
            seconds,
            "was" if count == 1 else "were",
        )
        self._dropping_from = None

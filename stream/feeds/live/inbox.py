"""What is between sockets and Kafka: a bounded buffer, so that no socket ever waits for Kafka."""

import asyncio
import logging
from collections import deque
from typing import NamedTuple

log = logging.getLogger(__name__)

# What a message takes up besides its text.
OVERHEAD_BYTES = 150
# A batch is decoded in one go, and sockets wait for as long.
BATCH_MESSAGES = 1000


class Message(NamedTuple):
    """A message as it came, and when, by our clock."""

    received_ns: int
    frame: bytes


class Inbox:
    """Messages in the order in which they came.

    Where it is full, for Kafka is away or slow, the oldest go, and are counted: by the time that there is room, they
    are past the horizon within which results can be corrected, and the newest are not. A source that can say it all
    again is not asked to lose anything: what comes is not taken, until half of the room is free.

    Parameters
    ----------
    name
        As log lines name it.
    most_bytes
        How much it holds.
    loses
        False where what isn't taken comes again.

    Attributes
    ----------
    dropped
        How many were.
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
        """How much waits."""
        return self._bytes

    def add(self, message: Message) -> bool:
        """Take a message in; return whether it was, which it always is where the oldest go."""
        size_bytes = len(message.frame) + OVERHEAD_BYTES
        if not self._loses:
            if self._messages and self._bytes + size_bytes > self._most_bytes:
                self._room.clear()
            if not self._room.is_set():
                return False
        self._messages.append(message)
        self._bytes += size_bytes
        self._some.set()
        while self._bytes > self._most_bytes and len(self._messages) > 1:
            self._drop()
        return True

    def fail(self, error: BaseException) -> None:
        """Have whoever takes next raise this, once all that came before is taken."""
        self._failure = self._failure or error
        self._some.set()

    async def next_batch(self) -> list[Message]:
        """Return what has come, the oldest first, waiting where nothing has."""
        await self._some.wait()
        if not self._messages and self._failure is not None:
            raise self._failure
        taken = [self._messages.popleft() for _ in range(min(BATCH_MESSAGES, len(self._messages)))]
        self._bytes -= sum(len(message.frame) + OVERHEAD_BYTES for message in taken)
        if self._bytes <= self._most_bytes // 2:
            self._room.set()
            self._tell_of_dropped()
        if not self._messages and self._failure is None:
            self._some.clear()
        return taken

    async def room(self) -> None:
        """Return when it would take a message."""
        await self._room.wait()

    def _drop(self) -> None:
        message = self._messages.popleft()
        self._bytes -= len(message.frame) + OVERHEAD_BYTES
        if self._dropping_from is None:
            self._dropping_from, self._dropped_before = message, self.dropped
            log.warning(
                "%s: Kafka is away or slow, and %d messages, all that there is room for, wait: the oldest are dropped",
                self._name,
                len(self._messages),
            )
        self._dropping_to = message
        self.dropped += 1

    def _tell_of_dropped(self) -> None:
        if self._dropping_from is None or self._dropping_to is None:
            return
        seconds = (self._dropping_to.received_ns - self._dropping_from.received_ns) / 1e9
        log.warning(
            "%s: Kafka takes messages again; %d of %.1f s were dropped",
            self._name,
            self.dropped - self._dropped_before,
            seconds,
        )
        self._dropping_from = None

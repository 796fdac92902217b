"""What is said on one connection to a source: subscriptions and pings, at the rate allowed."""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec

from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.define.stream import Stream
from tickertape.stream.feeds.live.silence import Silence, Silent
from tickertape.stream.feeds.live.subscriptions import Subscriptions, named

log = logging.getLogger(__name__)


class Conversation:
    """One connection, and what is known of its streams.

    Parameters
    ----------
    source
        The source.
    streams
        What is wanted of the connection.
    name
        The connection's name in log lines.
    told
        See `Subscriptions`.
    send
        Sends a message.
    renew
        Has the connection replaced; the new one stands before this one is closed.

    Attributes
    ----------
    is_over
        Whether nothing can be said any more.
    stands
        Set once the connection brings what is wanted: each stream is confirmed or refused, and a message has come.
    heard
        By kind and symbol: when it brought the last event, ns. Whoever decodes its messages writes it.
    """

    def __init__(
        self,
        source: Source,
        streams: tuple[Stream, ...],
        name: str,
        told: dict[Stream, str],
        send: Callable[[str], Awaitable[None]],
        renew: Callable[[], None],
    ) -> None:
        self._source = source
        self._name = name
        self._send = send
        self._renew = renew
        self._streams = streams
        self._subscriptions = Subscriptions(source, streams, name, told)
        self._waiting: deque[str] = deque(source.hello)
        self._news = asyncio.Event()
        self._is_left = False
        self.is_over = False
        self.stands = asyncio.Event()
        self.heard: dict[tuple[type, str], int] = {}
        self._say(self._subscriptions.begin(time.time()))

    async def speak(self) -> None:
        """Send what there is to send, until cancelled."""
        loop, (ping, ping_seconds) = asyncio.get_running_loop(), self._source.ping or ("", math.inf)
        ping_at = loop.time() + ping_seconds
        try:
            while True:
                if loop.time() >= ping_at:
                    message, ping_at = ping, loop.time() + ping_seconds
                elif self._waiting:
                    message = self._waiting.popleft()
                else:
                    await self._more(ping_at)
                    continue
                await self._send(message)
                await asyncio.sleep(1.0 / self._source.messages_per_second)
        finally:
            self.is_over = True

    async def _more(self, until: float) -> None:
        """Wait until there is something to send, or for a time of the loop's clock."""
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if until == math.inf else until):
                await self._news.wait()

    def came(self) -> None:
        """Take note of the first message."""
        if self._subscriptions.is_settled:
            self.stands.set()

    def answered(self, frame: bytes, received_ns: int) -> bool:
        """Take a message that is no event; return whether it is an answer."""
        if not self._streams:
            return False
        try:
            answer = self._source.answer(frame)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            return False
        if answer is None:
            return False
        self._subscriptions.answered(answer, received_ns / 1e9)
        if self._subscriptions.is_settled:
            self.stands.set()
        return True

    def look(self, now: float) -> None:
        """Ask again for streams whose time has come."""
        self._say(self._subscriptions.look(now, self.heard))
        if self.heard and self._subscriptions.is_settled:
            self.stands.set()
        if self._subscriptions.is_deaf and not self._is_left:
            self._is_left = True
            log.warning("%s: nothing is answered; the connection is renewed", self._name)
            self._renew()

    def listen(self, now: float, silence: Silence) -> None:
        """Look for streams that have fallen silent, and do something about it."""
        found = silence.look(now, self.heard, self._subscriptions.open)
        if not found:
            return
        anew = [silent.stream for silent in found]
        messages = [] if any(silent.renew for silent in found) else self._subscriptions.again(anew, now)
        if not messages and silence.may_renew(now):
            self._renew()
            done = "the connection is renewed"
        else:
            messages = messages or self._subscriptions.again(anew, now)
            done = "asked for again" if messages else "the connection was renewed lately"
        log.warning("%s: silent: %s, %s; %s", self._name, named(anew), _of(found[0]), done)
        self._say(messages)

    def again(self, kind: type, symbol: str) -> None:
        """Ask for a symbol's streams of a kind again."""
        streams = [stream for stream in self._streams if stream.kind is kind and stream.symbol == symbol]
        if streams and not self.is_over:
            self._say(self._subscriptions.again(streams, time.time()))

    @property
    def states(self) -> tuple[int, int]:
        """How many streams are awaited, and how many are refused."""
        refused = self._subscriptions.refused
        return len(self._subscriptions.open) - refused, refused

    def _say(self, messages: list[str]) -> None:
        self._waiting += messages
        self._news.set()


def _of(silent: Silent) -> str:
    usually = f", usually {silent.usual_seconds:.0f} s at most" if silent.usual_seconds else ""
    return f"for {silent.seconds:.0f} s{usually}"

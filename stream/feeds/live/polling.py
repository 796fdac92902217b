"""What a live source doesn't stream: it is asked for, symbol by symbol."""

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from tickertape.schemas.events import Event
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.hosts.request import getter

log = logging.getLogger(__name__)

# The least time between two log lines about requests that fail.
TOLD_SECONDS = 60.0


class Polling:
    """Asks a source for what it doesn't stream, its symbols in turn and evenly over `Source.poll_seconds`.

    Parameters
    ----------
    source
        A source with `poll_seconds`.
    wake
        Is called when events have come.
    """

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        self._source = source
        self._wake = wake
        # What takes longer is asked for again by then.
        self._get = getter(source.limits, source.poll_seconds)
        self._events: list[Event] = []
        self._told_at = -TOLD_SECONDS

    async def run(self) -> None:
        """Ask, without end."""
        source = self._source
        while True:
            for symbol in source.symbols:
                await self._ask(symbol)
                await asyncio.sleep(source.poll_seconds / len(source.symbols))

    async def _ask(self, symbol: str) -> None:
        try:
            self._events += await self._source.poll(self._get, symbol)
        except (InputError, OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            if (now := time.monotonic()) - self._told_at >= TOLD_SECONDS:
                self._told_at = now
                log.warning("%s: %s: its figures can't be had: %s", self._source.name, symbol, error)
            return
        if self._events:
            self._wake()

    def drained(self) -> list[Event]:
        """Return the events that have come since the last call."""
        events, self._events = self._events, []
        return events

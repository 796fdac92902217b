"""Progress on standard error: one changing line in a terminal, otherwise a line every few seconds."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

TERMINAL_SECONDS = 0.25
PLAIN_SECONDS = 5.0


class Counts(Protocol):
    """The numbers to show, such as those of a `Publisher`."""

    @property
    def events(self) -> int: ...

    @property
    def newest_ms(self) -> int: ...


@asynccontextmanager
async def shown(counts: Counts, console: Console, done: str = "fed", what: str = "events") -> AsyncIterator[None]:
    """Show progress while the block runs; ``done`` and ``what`` are the words of ``fed 1,000 events``."""
    meter = _Meter(counts, done, what)
    task = asyncio.create_task(_in_terminal(meter, console) if console.is_terminal else _plain(meter, console))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _in_terminal(meter: "_Meter", console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(Text(meter.read()), refresh=True)
                await asyncio.sleep(TERMINAL_SECONDS)
        finally:
            live.update(Text(meter.read()), refresh=True)


async def _plain(meter: "_Meter", console: Console) -> None:
    while True:
        await asyncio.sleep(PLAIN_SECONDS)
        console.print(meter.read(), highlight=False, soft_wrap=True)


class _Meter:
    def __init__(self, counts: Counts, done: str, what: str) -> None:
        self._counts = counts
        self._done, self._what = done, what
        self._began = self._before = time.monotonic()
        self._events = 0
        self._rate = 0.0

    def read(self) -> str:
        now, events = time.monotonic(), self._counts.events
        # Show the rate of the last second: the mean would hide a stall.
        if now - self._before >= 1 or not self._rate:
            self._rate = (events - self._events) / max(now - self._before, 0.001)
            self._before, self._events = now, events
        parts = [f"{self._done} {events:,} {self._what}", f"{self._rate:,.0f}/s"]
        if newest_ms := self._counts.newest_ms:
            newest = datetime.fromtimestamp(newest_ms / 1000, UTC)
            parts.append(f"event time {newest:%Y-%m-%d %H:%M:%S} UTC")
        seconds = int(now - self._began)
        parts.append(f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}")
        return "   ".join(parts)

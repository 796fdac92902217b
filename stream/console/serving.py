"""The page's process: serves the page and the API until it is told to end."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tickertape.stream.api.serving import Console
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.console import pages
from tickertape.stream.console.desk import Desk
from tickertape.stream.console.told import UP, Told


class Page:
    """The page of one pipeline.

    Parameters
    ----------
    settings
        The settings, with a broker; ``console_host`` and ``console_port`` say where.
    say
        Prints a line.
    demo
        True adds the demo's buttons and notes.

    Raises
    ------
    ConfigError
        The settings can't be used, or the chart library isn't the expected one.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None], *, demo: bool = False) -> None:
        self._say = say
        self._desk = Desk(say) if demo else None
        self._numbers: dict[str, dict[str, float]] = {}
        routes = [*(self._desk.routes("/api/v1/demo") if self._desk else ()), *pages.routes()]
        self._console = Console(settings, routes=routes, demo=demo, worker_numbers=lambda: self._numbers)
        self._ended = asyncio.Event()

    async def run(self, *, supervised: bool, up: Callable[[str], None]) -> None:
        """Serve until SIGTERM, SIGINT or, if supervised, the end of standard input.

        Parameters
        ----------
        supervised
            True reads what the pipeline's process tells; see `Told`.
        up
            Called with the address once connections are accepted.

        Raises
        ------
        ConfigError
            The address can't be used.
        BrokerError
            Kafka can't be reached, or denies access.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ended.set)
        async with self._console.serving() as address:
            self._say(f"{UP}{address}")
            up(address)
            if supervised:
                threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
            await self._ended.wait()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        decode = msgspec.json.Decoder(Told).decode
        # Unbuffered: a buffer has a lock, which this thread would hold when the process ends.
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as lines, suppress(RuntimeError):
            for line in lines:
                loop.call_soon_threadsafe(self._take, decode(line))
            loop.call_soon_threadsafe(self._ended.set)

    def _take(self, told: Told) -> None:
        if told.workers is not None:
            self._numbers = told.workers
        if told.note is not None and self._desk is not None:
            self._desk.note(told.note)


def say(line: str) -> None:
    """Print a line; the reader may be gone."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.kill(os.getpid(), signal.SIGTERM)

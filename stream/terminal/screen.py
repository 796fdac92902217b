"""Show the demo: the view of `tickertape top` in a terminal, with a table of symbols; plain lines elsewhere."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from tickertape.stream.terminal import table
from tickertape.stream.terminal.view import View
from tickertape.stream.watch.state import State

if TYPE_CHECKING:
    from tickertape.stream.top.app import Top

PLAIN_SECONDS = 2.0
# Kafka is asked about the workers less often than by `tickertape top`: the demo's machine has enough to do.
STATE_SECONDS = 2.0
KEYS = {"k": "kill a worker", "p": "double the partitions"}


class Screen:
    """Shows the demo on a terminal or a plain stream.

    Parameters
    ----------
    console
        The console to write to.

    Attributes
    ----------
    address
        The address of the page that shows the same, which stands beside the time; empty if there is none.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._top: Top | None = None
        self.address = ""
        self._shown_at = 0.0
        # What happened while the view was there; it leaves nothing on the terminal.
        self._later: list[str] = []

    def note(self, text: str) -> None:
        """Show a note about an event."""
        if self._top is None:
            self._print(text)
        else:
            self._later.append(text)
            self._top.note(text)

    def show(self, view: View, seconds: float, until: float | None) -> None:
        """Refresh the table, or, without a terminal, print a line every other second.

        Parameters
        ----------
        view
            The state to show.
        seconds
            The time since the start.
        until
            The time at which the run ends. None: it runs until the user ends it.
        """
        if self._top is not None:
            time_text = f"{seconds:.0f} s" + (f" of {until:.0f} s" if until is not None else "")
            self._top.heading = "   ".join(part for part in (self.address, time_text) if part)
            self._top.put(table.symbols(view))
            self._top.more(view.own_metrics.lines(view.busiest) if view.own_metrics else [])
        elif time.monotonic() - self._shown_at >= PLAIN_SECONDS:
            self._shown_at = time.monotonic()
            self._print(table.line(view, seconds))

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    @asynccontextmanager
    async def view(self, name: str, now: Callable[[], State], press: Callable[[str], None]) -> AsyncIterator[None]:
        """Show the view while the block runs, if there is a terminal with a keyboard.

        Parameters
        ----------
        name
            What is shown.
        now
            Returns the state of the pipeline.
        press
            Is called with each key: ``q`` also where the user quits in another way.
        """
        if not self._interactive():
            yield
            return
        from tickertape.stream.top.app import Key, Top

        keys = [Key(key, label, lambda key=key: press(key)) for key, label in KEYS.items()]  # type: ignore[misc]  # a default binds it
        self._top = Top(name, now, keys=keys, every_seconds=STATE_SECONDS, quits=lambda: press("q"))
        showing = asyncio.ensure_future(self._top.run_async())
        leaving = asyncio.Event()
        # It may end by itself: by an error, which is raised below.
        showing.add_done_callback(lambda _: None if leaving.is_set() else press("q"))
        try:
            yield
        finally:
            leaving.set()
            self._top.end()
            await asyncio.wait([showing])
            self._top = None
            for text in self._later:
                self._print(text)
        showing.result()

    def _interactive(self) -> bool:
        if not (self._console.is_terminal and sys.stdin.isatty()):
            return False
        # A background process that touches the terminal is stopped by the system. A terminal may be nobody's.
        try:
            return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except OSError:
            return False

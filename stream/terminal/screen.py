"""Show the demo: a live table in a terminal, plain lines elsewhere."""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from tickertape.stream.terminal import table
from tickertape.stream.terminal.view import View

NOTES = 4
PLAIN_SECONDS = 2.0
# The heading, the summary, the table's header and the empty lines between.
FRAME_LINES = 6
KEYS = "k kill a worker   p double the partitions   q quit"


class Screen:
    """Shows the demo on a terminal or a plain stream.

    Parameters
    ----------
    console
        The console to write to.

    Attributes
    ----------
    address
        The address of the page that shows the same, which stands beside the keys; empty if there is none.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._live: Live | None = None
        self._keys = ""
        self.address = ""
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Show a note about an event."""
        self._notes.append(text)
        if self._live is None:
            self._print(text)

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
        if not self._console.is_terminal:
            if time.monotonic() - self._shown_at >= PLAIN_SECONDS:
                self._shown_at = time.monotonic()
                self._print(table.line(view, seconds))
            return
        if self._live is None:
            # The notes so far have been printed above the table.
            self._notes.clear()
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        time_text = f"{seconds:.0f} s" + (f" of {until:.0f} s" if until is not None else "")
        rows = max(1, self._console.height - FRAME_LINES - NOTES - 2)
        heading = f"Tickertape   {time_text}"
        self._live.update(table.render(view, heading, list(self._notes), self._foot, rows=rows), refresh=True)

    @property
    def _foot(self) -> str:
        return "   ".join(part for part in (self._keys, self.address) if part)

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    @contextmanager
    def keys(self, press: Callable[[str], None]) -> Iterator[None]:
        """Call `press` with each key while the block runs, if there is a terminal with a keyboard."""
        keyboard = sys.stdin.fileno()
        if not (self._console.is_terminal and _is_ours(keyboard)):
            yield
            return
        import termios
        import tty

        before = termios.tcgetattr(keyboard)
        loop = asyncio.get_running_loop()
        tty.setcbreak(keyboard)

        def read() -> None:
            for key in os.read(keyboard, 32).decode(errors="ignore"):
                press(key)

        loop.add_reader(keyboard, read)
        self._keys = KEYS
        try:
            yield
        finally:
            self._keys = ""
            loop.remove_reader(keyboard)
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _is_ours(keyboard: int) -> bool:
    """Return whether a file is a terminal that listens to this process.

    A background process that touches the terminal is stopped by the system; and a terminal that isn't the one that
    controls this session, as after `setsid`, tells nobody its foreground.
    """
    try:
        return os.tcgetpgrp(keyboard) == os.getpgrp()
    except OSError:
        return False

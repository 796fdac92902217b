"""Shows the state of several feeds: a line a source that changes in a terminal, lines in a pipe, or JSON."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext

import msgspec
from rich.console import Console
from rich.live import Live as Screen
from rich.table import Table
from rich.text import Text

from tickertape.stream.feeds.together.status import Status
from tickertape.stream.progress.shown import SECONDS, Form

Statuses = Callable[[], Sequence[Status]]
COLUMNS = ("source", "state", "symbols", "events", "/s", "gaps", "missing", "refilled", "refused", "silent", "failures")
_STYLES = {"connected": "green", "connecting": "yellow", "failed": "red", "stopped": "dim"}


class Board:
    """Where the state of feeds is shown, and how.

    Parameters
    ----------
    console
        Where it is shown.
    as_json
        True to show each state as JSON on one line: see `Status` for its fields.

    Attributes
    ----------
    console
        As given.
    """

    def __init__(self, console: Console, *, as_json: bool = False) -> None:
        self.console = console
        self._form: Form = "json" if as_json else "terminal" if console.is_terminal else "plain"

    @asynccontextmanager
    async def shown(self, statuses: Statuses) -> AsyncIterator[None]:
        """Show the state while the block runs, and a last time at its end."""
        screen = Screen(_table(statuses()), console=self.console, auto_refresh=False)
        with screen if self._form == "terminal" else nullcontext():

            def show() -> None:
                if self._form == "terminal":
                    screen.update(_table(statuses()), refresh=True)
                else:
                    self._print(statuses())

            async def go_on() -> None:
                while True:
                    await asyncio.sleep(SECONDS[self._form])
                    show()

            showing = asyncio.create_task(go_on())
            try:
                yield
            finally:
                showing.cancel()
                await asyncio.wait((showing,))
                show()

    def _print(self, statuses: Sequence[Status]) -> None:
        for one in statuses:
            line = msgspec.json.encode(one).decode() if self._form == "json" else str(one)
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _table(statuses: Sequence[Status]) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("source", "state") else "right", no_wrap=True)
    # It has the room that the others leave; the log has all of it.
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in statuses:
        heard = f"{one.heard}/{one.symbols}" if one.symbols else ""
        counts = (one.gaps, one.missing, one.refilled, one.refused, one.silent, one.failures)
        table.add_row(
            Text(one.source),
            Text(one.state, style=_STYLES[one.state]),
            heard,
            f"{one.events:,}",
            f"{one.rate:,.0f}",
            *(f"{each:,}" for each in counts),
            Text(one.why),
        )
    return table

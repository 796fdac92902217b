"""The view: a summary, workers, and a table of what is chosen, with notes on what happened."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Sparkline, Static

from tickertape.stream.top import tables
from tickertape.stream.top.asking import EVERY_SECONDS, Asking
from tickertape.stream.top.cells import Table, age
from tickertape.stream.top.changes import changes
from tickertape.stream.top.grid import Grid
from tickertape.stream.top.help import Help
from tickertape.stream.watch.state import State

NOTES = 5
# What the line of rates holds.
HISTORY = 120
MOST_WORKERS_SHOWN = 8


class Key(Struct, frozen=True):
    """A key that does something to what is shown.

    Attributes
    ----------
    key, label
        The key, and what it does: ``k``, ``kill a worker``.
    press
        Is called when it is pressed.
    """

    key: str
    label: str
    press: Callable[[], None]


class Top(App[None]):
    """The view of a pipeline.

    Parameters
    ----------
    name
        What is shown: the group, and where.
    now
        Returns the state of the pipeline; it is called in a thread, and may take long or raise a `TickertapeError`.
    keys
        Further keys.
    every_seconds
        How long after a state the next one is asked for.
    quits
        Is called in place of the view's end when the user quits; None: the view ends.
    """

    TITLE = "Tickertape"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "top.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("v", "view", "view"),
        Binding("s", "sort", "sort"),
        Binding("r", "turn", "reverse"),
        Binding("question_mark,h", "help", "help", key_display="?"),
    ]

    def __init__(
        self,
        name: str,
        now: Callable[[], State],
        *,
        keys: Sequence[Key] = (),
        every_seconds: float = EVERY_SECONDS,
        quits: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-wide")]
        self.VERTICAL_BREAKPOINTS = [(0, "-short"), (20, "-tall")]
        self._shown_name = name
        self._asking = Asking(now, self._told, every_seconds)
        self._keys = {key.key: key for key in keys}
        self._quits = quits
        self._tables: dict[str, Table] = {}
        self._chosen = ""
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._rates: deque[float] = deque([0.0] * 2, maxlen=HISTORY)
        self._state: State | None = None
        # Why there is no newer state, and since when, s.
        self._trouble = ""
        self._since = time.monotonic()
        self.heading = ""
        # Found here, whatever screen is before it.
        self._who, self._heading, self._summary = (
            Static(id="name"),
            Static(id="heading"),
            Static("asking Kafka …", id="summary"),
        )
        self._why, self._lines, self._happened = Static(id="trouble"), Static(id="more"), Static(id="notes")
        self._line = Sparkline(list(self._rates), id="rates")
        self._crew, self._table = Grid(id="workers"), Grid(id="chosen")
        self._body = Vertical(self._crew, self._table, id="body")
        self._begun = False

    def compose(self) -> ComposeResult:
        yield Horizontal(self._who, self._heading, id="head")
        yield self._why
        yield Horizontal(self._summary, self._line, id="sum")
        yield self._body
        yield self._lines
        yield self._happened
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._asked_in = asyncio.get_running_loop()
        # Widgets find their view by it, which the thread's own lacks.
        self._within = copy_context()
        self._begun = True
        for key in self._keys.values():
            self.bind(key.key, f"press('{key.key}')", description=key.label)
        self._crew.can_focus = False
        self._table.focus()
        self._happened.update(Text("\n".join(self._notes)))
        self.set_interval(0.5, self._tick)
        self._tick()
        self._asking.start()

    def on_unmount(self) -> None:
        self._begun = False
        self._asking.stop()

    @property
    def _shows(self) -> bool:
        """Whether there is anything to show things on: not before the view begins, nor while it ends."""
        return self._begun and self._body.is_attached

    def end(self) -> None:
        """End the view. What comes from now on is not shown: parts of the view may be gone already."""
        self._begun = False
        self.exit()

    def put(self, table: Table) -> None:
        """Show a table of the caller's, before those of the pipeline until the user chooses."""
        self._tables = {table.name: table} | self._tables | {table.name: table}
        self._show_chosen()

    def more(self, lines: Sequence[str]) -> None:
        """Show lines below the table, in place of those before."""
        if self._shows:
            self._lines.update(Text("\n".join(lines)))
            self._lines.display = bool(lines)

    def note(self, text: str) -> None:
        """Show a line on what happened, with the time."""
        self._notes.append(f"{time.strftime('%H:%M:%S')}  {text}")
        if self._shows:
            self._happened.update(Text("\n".join(self._notes)))

    def _told(self, answer: State | str) -> None:
        # The thread may hear of an answer after the loop has ended.
        with suppress(RuntimeError):
            self._asked_in.call_soon_threadsafe(self._answered, answer, context=self._within)

    def _answered(self, answer: State | str) -> None:
        if not self._shows:
            return
        if isinstance(answer, str):
            if not self._trouble:
                self._since = time.monotonic()
            self._trouble = answer
        else:
            if self._trouble and self._state is not None:
                self.note(f"Kafka answers again, after {age(time.monotonic() - self._since)}")
            self._trouble = ""
            self._show(answer)
        self._tick()

    def _show(self, state: State) -> None:
        before, self._state = self._state, state
        if before is not None:
            for line in changes(before, state):
                self.note(line)
        self._summary.update(Text(tables.line(state)))
        if before is not None:
            self._rates.append(tables.rate(state))
            self._line.data = list(self._rates)
        self._crew.put(tables.workers(state))
        # Its border, its head and its rows.
        self._crew.styles.height = 3 + max(1, min(len(state.workers), MOST_WORKERS_SHOWN))
        self._tables["partitions"] = tables.partitions(state)
        self._show_chosen()

    def _show_chosen(self) -> None:
        if self._shows and self._tables:
            table = self._tables.get(self._chosen) or next(iter(self._tables.values()))
            self._table.put(table)

    def _tick(self) -> None:
        """Show what goes with time alone."""
        if not self._shows:
            return
        dot, style = ("●", "green") if not self._trouble else ("●", "red")
        if not self._trouble and (self._state is None or not self._state.stable):
            style = "yellow"
        name = Text.assemble((f" {dot} ", style), ("Tickertape", "bold"), f"  {self._shown_name}")
        self._who.update(name)
        self._heading.update(Text(self.heading or time.strftime("%H:%M:%S")))
        self._why.display = bool(self._trouble)
        if self._trouble:
            seconds = age(time.monotonic() - self._since)
            self._why.update(Text(f" {self._trouble}; for {seconds}, and it is tried again"))
        self._body.set_class(bool(self._trouble), "stale")

    async def action_quit(self) -> None:
        if self._quits is None:
            self.end()
        else:
            self._quits()

    def action_view(self) -> None:
        """Show the next table."""
        names = list(self._tables)
        if names:
            now = self._chosen if self._chosen in names else names[0]
            self._chosen = names[(names.index(now) + 1) % len(names)]
            self._show_chosen()

    def action_sort(self) -> None:
        self._table.sort_next()

    def action_turn(self) -> None:
        self._table.turn()

    def action_help(self) -> None:
        self.push_screen(Help([(key.key, key.label) for key in self._keys.values()]))

    def action_press(self, key: str) -> None:
        self._keys[key].press()

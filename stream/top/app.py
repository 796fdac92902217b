"""The view: a summary, workers, and a table of what is chosen, with notes on what happened."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
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
        self._begun = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="head"):
            yield Static(id="name")
            yield Static(id="heading")
        yield Static(id="trouble")
        with Horizontal(id="sum"):
            yield Static("asking Kafka …", id="summary")
            yield Sparkline(list(self._rates), id="rates")
        with Vertical(id="body"):
            yield Grid(id="workers")
            yield Grid(id="chosen")
        yield Static(id="more")
        yield Static(id="notes")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._asked_in = asyncio.get_running_loop()
        self._begun = True
        for key in self._keys.values():
            self.bind(key.key, f"press('{key.key}')", description=key.label)
        self.query_one("#workers").can_focus = False
        self.query_one("#chosen").focus()
        self.set_interval(0.5, self._tick)
        self._tick()
        self._asking.start()

    def on_unmount(self) -> None:
        self._begun = False
        self._asking.stop()

    def put(self, table: Table) -> None:
        """Show a table of the caller's, before those of the pipeline until the user chooses."""
        self._tables = {table.name: table} | self._tables | {table.name: table}
        self._show_chosen()

    def more(self, lines: Sequence[str]) -> None:
        """Show lines below the table, in place of those before."""
        if self._begun:
            self.query_one("#more", Static).update(Text("\n".join(lines)))
            self.query_one("#more").display = bool(lines)

    def note(self, text: str) -> None:
        """Show a line on what happened, with the time."""
        self._notes.append(f"{time.strftime('%H:%M:%S')}  {text}")
        if self._begun:
            self.query_one("#notes", Static).update(Text("\n".join(self._notes)))

    def _told(self, answer: State | str) -> None:
        # The thread may hear of an answer after the loop has ended.
        with suppress(RuntimeError):
            self._asked_in.call_soon_threadsafe(self._answered, answer)

    def _answered(self, answer: State | str) -> None:
        if not self._begun:
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
        self.query_one("#summary", Static).update(Text(tables.line(state)))
        if before is not None:
            self._rates.append(tables.rate(state))
            self.query_one("#rates", Sparkline).data = list(self._rates)
        workers = self.query_one("#workers", Grid)
        workers.put(tables.workers(state))
        # Its border, its head and its rows.
        workers.styles.height = 3 + max(1, min(len(state.workers), MOST_WORKERS_SHOWN))
        self._tables["partitions"] = tables.partitions(state)
        self._show_chosen()

    def _show_chosen(self) -> None:
        if self._begun and self._tables:
            table = self._tables.get(self._chosen) or next(iter(self._tables.values()))
            self.query_one("#chosen", Grid).put(table)

    def _tick(self) -> None:
        """Show what goes with time alone."""
        dot, style = ("●", "green") if not self._trouble else ("●", "red")
        if not self._trouble and (self._state is None or not self._state.stable):
            style = "yellow"
        name = Text.assemble((f" {dot} ", style), ("Tickertape", "bold"), f"  {self._shown_name}")
        self.query_one("#name", Static).update(name)
        self.query_one("#heading", Static).update(Text(self.heading or time.strftime("%H:%M:%S")))
        trouble = self.query_one("#trouble", Static)
        trouble.display = bool(self._trouble)
        if self._trouble:
            seconds = age(time.monotonic() - self._since)
            trouble.update(Text(f" {self._trouble}; for {seconds}, and it is tried again"))
        self.query_one("#body").set_class(bool(self._trouble), "stale")

    async def action_quit(self) -> None:
        if self._quits is None:
            self.exit()
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
        self.query_one("#chosen", Grid).sort_next()

    def action_turn(self) -> None:
        self.query_one("#chosen", Grid).turn()

    def action_help(self) -> None:
        self.push_screen(Help([(key.key, key.label) for key in self._keys.values()]))

    def action_press(self, key: str) -> None:
        self._keys[key].press()

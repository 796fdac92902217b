"""What each key does, on a screen of its own."""

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

KEYS = (
    ("↑ ↓ PgUp PgDn", "scroll the table"),
    ("v", "show another table"),
    ("s", "sort by the next column"),
    ("r", "reverse the order"),
    ("?", "this help"),
    ("q or Ctrl-C", "quit"),
)


class Help(ModalScreen[None]):
    """Lists the keys.

    Parameters
    ----------
    more
        Further keys, and what they do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,h,enter", "dismiss", "close")]

    def __init__(self, more: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = [*more, *KEYS]

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        for key, what in self._keys:
            table.add_row(Text(key, style="bold"), what)
        yield Static(table, id="help")

    def on_mount(self) -> None:
        self.query_one("#help").border_title = "keys"
        self.query_one("#help").border_subtitle = "Esc closes"

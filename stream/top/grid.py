"""A table on the screen that sorts, keeps its place, and leaves out columns that it has no room for."""

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.widgets import DataTable

from tickertape.stream.top.cells import Column, Table, drawn, fitting, ordered

# For the bar at the right.
SCROLLBAR = 2


class Grid(DataTable[Text]):
    """Shows a `Table`, and another one when it is given another."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._table: Table | None = None
        # By the table's name: the column, and whether the largest comes first.
        self._sorts: dict[str, tuple[str, bool]] = {}
        self._columns: list[Column] = []
        self._rows: dict[str, list[Text]] = {}

    def put(self, table: Table) -> None:
        """Show a table, or what it is by now."""
        self._sorts.setdefault(table.name, (table.sort, table.falling))
        self._table = table
        self.border_title = table.name
        self._draw()

    @property
    def sorted_by(self) -> tuple[str, bool]:
        """The column that the table is sorted by, and whether the largest comes first."""
        assert self._table is not None
        return self._sorts[self._table.name]

    def sort_next(self) -> None:
        """Sort by the next column that is shown."""
        if self._table is not None:
            keys = [column.key for column in self._columns]
            now, _ = self.sorted_by
            self.sort_by(keys[(keys.index(now) + 1) % len(keys) if now in keys else 0])

    def sort_by(self, key: str) -> None:
        """Sort by a column, or turn its order if that is how it is sorted: texts rise at first, numbers fall."""
        if self._table is None:
            return
        now, falling = self.sorted_by
        text = next(column.left for column in self._table.columns if column.key == key)
        self._sorts[self._table.name] = key, not falling if key == now else not text
        # What comes first now is what is asked for.
        self._rows = {}
        self.move_cursor(row=0)
        self.scroll_home(animate=False)
        self._draw()

    def turn(self) -> None:
        """Turn the order."""
        if self._table is not None:
            self.sort_by(self.sorted_by[0])

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        if event.column_key.value is not None:
            self.sort_by(event.column_key.value)

    def on_resize(self, _: events.Resize) -> None:
        self._draw()

    def _draw(self) -> None:
        table = self._table
        if table is None or not self.size.width:
            return
        key, falling = self.sorted_by
        columns = fitting(table.columns, self.size.width - SCROLLBAR)
        rows = {
            name: [drawn(column, table.rows[name].get(column.key)) for column in columns]
            for name in ordered(table.rows, key, falling=falling)
        }
        if columns == self._columns and list(rows) == list(self._rows) and self._heads_are(columns, key, falling):
            self._update(rows)
        else:
            self._make(columns, rows, key, falling)
        self._columns, self._rows = columns, rows

    def _heads_are(self, columns: Sequence[Column], key: str, falling: bool) -> bool:
        heads = [column.label for column in self.ordered_columns]
        return [str(head) for head in heads] == [str(_head(column, key, falling)) for column in columns]

    def _update(self, rows: dict[str, list[Text]]) -> None:
        for name, cells in rows.items():
            for column, cell, before in zip(self._columns, cells, self._rows[name], strict=True):
                if cell != before:
                    self.update_cell(name, column.key, cell)

    def _make(self, columns: Sequence[Column], rows: dict[str, list[Text]], key: str, falling: bool) -> None:
        place, at = self.scroll_offset, list(self._rows)[self.cursor_row : self.cursor_row + 1]
        self.clear(columns=True)
        for column in columns:
            self.add_column(_head(column, key, falling), width=column.width, key=column.key)
        for name, cells in rows.items():
            self.add_row(*cells, key=name)
        if at and at[0] in rows:
            self.move_cursor(row=list(rows).index(at[0]), scroll=False)
        self.scroll_to(place.x, place.y, animate=False)


def _head(column: Column, key: str, falling: bool) -> Text:
    label = f"{column.label}{'▼' if falling else '▲'}" if column.key == key else column.label
    text = Text(label, no_wrap=True)
    text.align("left" if column.left else "right", column.width)
    return text

"""The board: a row of numbers for each symbol, and which rows have changed since when."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tickertape.stream.recent.cells import Cell, Reading, Value
from tickertape.stream.recent.columns import Column
from tickertape.stream.recent.rounds import Round

# How many deltas are kept encoded: most clients have seen the round before.
_DELTAS = 8
# What a client is told of a column.
_HEAD = ("name", "title", "unit", "format")


class _Shown:
    """One column, for all symbols."""

    def __init__(self, column: Column, width_ms: int) -> None:
        self.column = column
        self._width_ms = width_ms
        self.is_list = column.show == "points"
        self.reading = Reading(column, column.resolution, column.windows)
        self.against = Reading(column, column.against, 1) if column.against else None
        self._passed_ms = 0

    def value(self, row: int) -> Value:
        cell = self.reading.cells.get(row)
        if cell is None:
            return None
        match self.column.show:
            case "change":
                return self._change(row, cell)
            case "rate":
                return self._rate(cell)
            case _:
                return cell.value

    def _change(self, row: int, cell: Cell) -> Value:
        other = self.against.cells.get(row) if self.against else None
        base = other.past[-1].value if other is not None and other.past else cell.first
        return cell.value / base - 1 if cell.value is not None and base else None

    def _rate(self, cell: Cell) -> float:
        # The latest window of all symbols is still open, so those before it are full.
        span_ms = self.column.windows * self._width_ms
        windows = [*((one.start_ms, one.value) for one in cell.past), (cell.start_ms, cell.value)]
        end_ms = self.reading.latest_ms
        total = sum(value or 0.0 for start_ms, value in windows if end_ms - span_ms <= start_ms < end_ms)
        return total / (span_ms / 1000)

    def points(self, row: int, since: int = -1) -> list[Value]:
        """Return the values of the full windows; only those that became full after a round, if one is given."""
        cell = self.reading.cells.get(row)
        return [] if cell is None else [one.value for one in cell.past if one.number > since]

    def passed(self) -> list[int]:
        """Return the rows whose value changes because time has passed since the last call."""
        latest_ms = self.reading.latest_ms
        if self.column.show != "rate" or latest_ms <= self._passed_ms:
            return []
        # Those that were not zero at the last call.
        oldest_ms = self._passed_ms - self.column.windows * self._width_ms
        self._passed_ms = latest_ms
        return [row for row, cell in self.reading.cells.items() if cell.start_ms >= oldest_ms]


class Board:
    """Rows of numbers, by symbol, as the columns say.

    Parameters
    ----------
    columns
        The columns, and the widths of their windows, ms.

    Attributes
    ----------
    symbols
        The symbols by row.
    number
        The number of the last round that changed it.
    """

    def __init__(self, columns: Mapping[Column, int]) -> None:
        self._shown = [_Shown(column, width_ms) for column, width_ms in columns.items()]
        self._readings: dict[tuple[str, str, str, str], list[Reading]] = {}
        for shown in self._shown:
            for reading in (shown.reading, shown.against):
                if reading is not None:
                    self._readings.setdefault(reading.place, []).append(reading)
        self._topics = {topic for topic, *_ in self._readings}
        self._rows: dict[str, int] = {}
        # By row: the numbers of the rounds in which it began and last changed.
        self._began: list[int] = []
        self._changed: list[int] = []
        self._deltas: dict[tuple[int, int], bytes] = {}
        self.symbols: list[str] = []
        self.number = 0

    def add(self, topic: str, brought: Round) -> None:
        """Take what a round brought of a topic."""
        if topic not in self._topics:
            return
        number = brought.number
        for series, changed in brought.changes.items():
            readings = self._readings.get((topic, series.kind, series.resolution, series.source))
            if readings is None:
                continue
            row = self._rows.get(series.symbol)
            if row is None:
                row = self._rows[series.symbol] = len(self.symbols)
                self.symbols.append(series.symbol)
                self._began.append(number)
                self._changed.append(number)
            news = [reading.read(row, changed, number) for reading in readings]
            if any(news):
                self._changed[row] = self.number = number
        for shown in self._shown:
            for row in shown.passed():
                self._changed[row] = self.number = number

    @property
    def columns(self) -> list[Column]:
        return [shown.column for shown in self._shown]

    def snapshot(self) -> bytes:
        """Return all of it as JSON."""
        rows = range(len(self.symbols))
        heads = [{name: getattr(column, name) for name in _HEAD} for column in self.columns]

        points = {one.column.name: [one.points(row) for row in rows] for one in self._shown if one.is_list}
        return msgspec.json.encode({"columns": heads, "symbols": self.symbols, "values": self._values(rows)} | points)

    def delta(self, since: int) -> bytes:
        """Return, as JSON, what has changed after a round."""
        asked = since, self.number
        if asked not in self._deltas:
            if len(self._deltas) >= _DELTAS:
                self._deltas.clear()
            self._deltas[asked] = self._delta(since)
        return self._deltas[asked]

    def _delta(self, since: int) -> bytes:
        rows = [row for row, number in enumerate(self._changed) if number > since]
        new = [self.symbols[row] for row in rows if self._began[row] > since]
        points = {
            one.column.name: [[row, value] for row in rows for value in one.points(row, since)]
            for one in self._shown
            if one.is_list
        }
        return msgspec.json.encode({"symbols": new, "rows": rows, "values": self._values(rows)} | points)

    def _values(self, rows: Iterable[int]) -> dict[str, Any]:
        rows = list(rows)
        return {one.column.name: [one.value(row) for row in rows] for one in self._shown if not one.is_list}

"""What a column of the board knows of each symbol: the newest window, and those before it."""

from collections import deque
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Struct

from tickertape.stream.recent.columns import Column
from tickertape.stream.recent.held import Held

#: A result's field as a number; None where it is null.
Value: TypeAlias = float | None


class Past(NamedTuple):
    """A full window: a later one has begun.

    Attributes
    ----------
    start_ms, value
        Its start, and the field's value.
    number
        The round that began the later window.
    """

    start_ms: int
    value: Value
    number: int


class Cell(Struct):
    """What is known of one symbol.

    Attributes
    ----------
    start_ms, value
        The newest window.
    past
        The windows before it, newest last.
    first
        The first value that was known.
    """

    start_ms: int
    value: Value
    past: deque[Past]
    first: Value


class Reading:
    """One field of one kind of results, by row.

    Parameters
    ----------
    column
        The field, and the results that it is taken from.
    resolution
        Their resolution, which may differ from the column's.
    windows
        How many windows before the newest one are kept.

    Attributes
    ----------
    cells
        By row.
    latest_ms
        The start of the latest window of any symbol.
    """

    def __init__(self, column: Column, resolution: str, windows: int) -> None:
        self.place = column.topic, column.kind, resolution, column.source
        self._windows = windows
        names = {"value": column.field} | ({"other": column.or_field} if column.or_field else {})
        read: Any = msgspec.defstruct("Read", [("value", Value, None), ("other", Value, None)], rename=names, gc=False)
        self._decode: Any = msgspec.json.Decoder(read).decode
        self.cells: dict[int, Cell] = {}
        self.latest_ms = 0

    def read(self, row: int, changed: list[Held], number: int) -> bool:
        """Take a symbol's changed results; return whether its newest window has changed."""
        cell, news = self.cells.get(row), False
        for held in sorted(changed, key=_start):
            try:
                found = self._decode(held.value)
            except msgspec.MsgspecError:
                continue
            value: Value = found.other if found.value is None else found.value
            start_ms = held.start_ms
            if cell is None:
                cell = self.cells[row] = Cell(start_ms, value, deque(maxlen=self._windows), value)
            elif start_ms > cell.start_ms:
                cell.past.append(Past(cell.start_ms, cell.value, number))
                cell.start_ms, cell.value = start_ms, value
            elif start_ms == cell.start_ms:
                cell.value = value
            else:
                _correct(cell, start_ms, value)
                continue
            news = True
            self.latest_ms = max(self.latest_ms, start_ms)
        return news


def _start(held: Held) -> int:
    return held.start_ms


def _correct(cell: Cell, start_ms: int, value: Value) -> None:
    for at, known in enumerate(cell.past):
        if known.start_ms == start_ms:
            cell.past[at] = known._replace(value=value)

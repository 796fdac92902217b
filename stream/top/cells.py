"""Cells of a table: what they show, how they are sorted, and which columns a narrow terminal has room for."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from rich.text import Text

# What stands for a value that there isn't.
NOTHING = "·"
GAP = 2
# Watermark ages above this are shown in red.
OLD_SECONDS = 3.0


class Column(Struct, frozen=True, kw_only=True):
    """A column.

    Attributes
    ----------
    key
        Its name in rows.
    label
        The heading.
    width
        Its width in characters; a longer text is cut.
    rank
        The higher, the sooner it is left out of a narrow terminal; 0: never.
    left
        True for texts, which stand on the left; numbers stand on the right.
    """

    key: str
    label: str
    width: int
    rank: int = 0
    left: bool = False


class Cell(Struct, frozen=True):
    """What a column has in a row.

    Attributes
    ----------
    text
        What is shown.
    value
        What rows are sorted by; None comes last.
    style
        A style of Rich's: ``red``.
    """

    text: str
    value: float | str | None = None
    style: str = ""


Row = Mapping[str, Cell]
#: Rows by a key that stays theirs.
Rows = Mapping[str, Row]


class Table(Struct, frozen=True, kw_only=True):
    """A table that the view can show.

    Attributes
    ----------
    name
        What it shows, in the plural: ``partitions``.
    columns
        All columns.
    rows
        The rows.
    sort
        The column that it is sorted by at first.
    falling
        True if the largest comes first.
    """

    name: str
    columns: Sequence[Column]
    rows: Rows
    sort: str
    falling: bool = False


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that a width has room for: those with the highest rank are left out first."""
    shown = list(columns)
    while len(shown) > 1 and sum(column.width + GAP for column in shown) > width:
        worst = max(shown, key=lambda column: column.rank)
        if not worst.rank:
            break
        shown.remove(worst)
    return shown


def ordered(rows: Rows, key: str, *, falling: bool) -> list[str]:
    """Return the keys of rows in the order of a column; without a value they come last, and equal ones by their key."""
    names = sorted(rows)
    known = [name for name in names if key in rows[name] and rows[name][key].value is not None]
    numbers = all(not isinstance(rows[name][key].value, str) for name in known)

    def place(name: str) -> tuple[float, str]:
        value = rows[name][key].value
        return (float(value or 0), "") if numbers else (0.0, str(value))

    known.sort(key=place, reverse=falling)
    return known + [name for name in names if name not in set(known)]


def drawn(column: Column, cell: Cell | None) -> Text:
    """Return a cell as it is shown in its column."""
    cell = cell or Cell(NOTHING, style="dim")
    # A style of its own, not the whole text's: two texts are equal whatever the latter is.
    text = Text(no_wrap=True).append(cell.text, cell.style)
    text.truncate(column.width, overflow="ellipsis")
    text.align("left" if column.left else "right", column.width)
    return text


def age(seconds: float) -> str:
    """Return an age as text, for ages below a year in at most six characters: 0.1 s, 179 s or 41.7 h."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds:.0f} s"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 100 else f"{hours:.0f} h"


def aged(seconds: float) -> Cell:
    """Return the cell of a watermark's age, in red if it is old."""
    return Cell(age(seconds), seconds, "red" if seconds > OLD_SECONDS else "")


def amount(number: float) -> str:
    """Return a number in at most six characters: 0.5, 999, 12.3k, 4.6M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size * (10 if unit == "k" else 1):
            return f"{number / size:.1f}{unit}"
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def mebibytes(size_bytes: float) -> str:
    return f"{size_bytes / (1 << 20):,.0f} MiB"

"""The rows of CSV files, in pieces of many rows: memory doesn't grow with the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.stream.errors import InputError
from tickertape.stream.feeds.files.lines import texts


class Layout(Struct, frozen=True):
    """How the rows of a file are read.

    Attributes
    ----------
    kind
        A Struct with ``array_like``: the columns that are read, in its own order.
    places
        The place of each of these columns in a row.
    width
        The number of columns of a row.
    has_header
        True if the first line names the columns.
    """

    kind: type[Any]
    places: Sequence[int]
    width: int
    has_header: bool


def rows(
    path: Path, layout: Callable[[Sequence[str]], Layout], on_bad: Callable[[str], None]
) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a file, each with the number of its line.

    Fields are separated by commas, and none is quoted. A line that repeats the header, as where the members of a zip
    follow each other, is skipped.

    Parameters
    ----------
    path
        The file, also compressed; see `texts`.
    layout
        Returns how to read the rows, from the fields of the first line.
    on_bad
        Called with ``file:line: reason`` for each row that can't be read, and if the file is cut off.

    Raises
    ------
    InputError
        The file can't be opened, is damaged, or isn't what ``layout`` knows.
    """
    cut: list[str] = []
    found, header, number = None, "", 0
    with closing(texts(path, cut.append)) as read:
        for piece in read:
            lines = piece.decode(errors="replace").replace("\r\n", "\n").rstrip("\r").split("\n")
            if found is None:
                first = next((line for line in lines if line.strip()), "")
                if not first:
                    number += len(lines)
                    continue
                found = layout(first.split(","))
                header = first if found.has_header else ""
            yield from _rows(path, lines, found, header, number, on_bad)
            number += len(lines)
    if cut:
        on_bad(f"{path}:{number}: is cut off after this line")


def _rows(
    path: Path, lines: Sequence[str], layout: Layout, header: str, before: int, on_bad: Callable[[str], None]
) -> Iterator[tuple[int, Any]]:
    pick, fields = itemgetter(*layout.places), [line.split(",") for line in lines]
    skipped = int(bool(header) and header == lines[0])
    del fields[:skipped]
    if set(map(len, fields)) == {layout.width}:
        try:
            found = msgspec.convert(list(map(pick, fields)), list[layout.kind], strict=False)  # type: ignore[name-defined]  # a type that is chosen here
        except msgspec.ValidationError:
            pass
        else:
            yield from enumerate(found, before + skipped + 1)
            return
    for number, line in enumerate(lines, before + 1):
        if not line.strip() or line == header:
            continue
        each = line.split(",")
        if len(each) != layout.width:
            on_bad(f"{path}:{number}: {len(each)} columns instead of {layout.width}")
            continue
        try:
            row = msgspec.convert(pick(each), layout.kind, strict=False)
        except msgspec.ValidationError as error:
            on_bad(f"{path}:{number}: {_reason(error, layout.kind)}")
            continue
        yield number, row


def _reason(error: Exception, kind: type[Any]) -> str:
    """Return why a row can't be read, with the column's name instead of its place."""
    names = [field.name for field in msgspec.structs.fields(kind)]
    return re.sub(r" - at `\$\[(\d+)\]`$", lambda found: f" in column {names[int(found[1])]}", str(error))


def named(path: Path, header: Sequence[str], kinds: Sequence[type[Any]], what: str) -> Layout:
    """Return how to read rows, by the first of several kinds whose columns are all in the header.

    Raises
    ------
    InputError
        The header has the columns of none of them.
    """
    names = [name.strip() for name in header]
    for kind in kinds:
        wanted = [field.name for field in msgspec.structs.fields(kind)]
        if set(wanted) <= set(names):
            return Layout(kind, [names.index(name) for name in wanted], len(names), has_header=True)
    raise InputError(f"{path}:1: is not {what}: its columns are {', '.join(names)[:200]}")

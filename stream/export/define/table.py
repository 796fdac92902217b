"""A table for the results of one topic."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

#: The values of a row, in the order of the table's columns; a list is its JSON.
Row: TypeAlias = tuple[Any, ...]


class Column(Struct, frozen=True):
    """A column.

    Attributes
    ----------
    name
        A Python identifier: letters, digits and ``_``, 63 bytes at most.
    type
        ``text``, ``integer`` (64 bits), ``number``, ``flag``, or ``list``, whose values are JSON.
    nullable
        True if it may be null.
    comment
        The unit and the meaning; empty if nothing is said of it.
    """

    name: str
    type: Literal["text", "integer", "number", "flag", "list"]
    nullable: bool
    comment: str


class Table(Struct, frozen=True):
    """A table.

    Attributes
    ----------
    name
        Letters, digits and ``_``, 63 bytes at most.
    columns
        Its columns. Among them are `key`, ``final`` and ``revision``.
    key
        The columns that name a result: no two rows have the same. ``start_ms`` is one of them.
    comment
        What its rows are.
    """

    name: str
    columns: list[Column]
    key: list[str]
    comment: str

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def at(self, *names: str) -> list[int]:
        """Return where in a row the columns of these names are."""
        known = self.names
        return [known.index(name) for name in names]

    def newest(self, rows: Sequence[Row]) -> list[Row]:
        """Return of each key the row with the highest (final, revision), in the order of the keys."""
        key_at, rank_at = self.at(*self.key), self.at("final", "revision")
        found: dict[tuple[Any, ...], tuple[Any, Row]] = {}
        for row in rows:
            key, rank = tuple(row[at] for at in key_at), tuple(row[at] for at in rank_at)
            if (known := found.get(key)) is None or rank > known[0]:
                found[key] = rank, row
        return [found[key][1] for key in sorted(found)]

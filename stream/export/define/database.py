"""A database that results are copied to. Each kind is a small class, found in the modules of the setting ``agents``."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Annotated, Self

from msgspec import Meta, field

from tickertape.stream.configuration.entries import Entry
from tickertape.stream.export.define.table import Row, Table


class Unavailable(Exception):  # noqa: N818 - it may pass
    """The database can't be reached or is busy: what was asked is tried again."""


class Database(Entry, frozen=True, kw_only=True):
    """The base of a kind of database. The class's fields are what a ``[[database]]`` in the file may set.

    A field of the type `Secret` is set by its name with ``_env`` or ``_file``: ``password_env = "DB_PASSWORD"``.

    Attributes
    ----------
    kind
        The name of this kind of database in the file.
    name
        The database's own name. It is part of the name of the consumer group that remembers what has been copied.
    topics
        The topics whose results are copied. Empty: all.
    finals
        True to copy final results only.
    every_seconds
        The time between two writes. Of each result only the newest state is written.
    most_rows
        The most rows that wait in memory for a write.

    Examples
    --------
    >>> from tickertape import Secret
    >>> class Ledger(Database, frozen=True, kw_only=True):
    ...     kind = "ledger"
    ...     url: str
    ...     token: Secret
    ...
    ...     def writer(self) -> Writer:
    ...         return LedgerWriter(self)
    """

    topics: list[str] = field(default_factory=list)
    finals: bool = False
    every_seconds: Annotated[float, Meta(ge=0.01, le=3600)] = 1.0
    most_rows: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000

    @abstractmethod
    def writer(self) -> "Writer":
        """Return a writer, which isn't connected yet.

        Raises
        ------
        ConfigError
            A package that it needs isn't installed.
        """

    @abstractmethod
    def statements(self, tables: Sequence[Table]) -> list[str]:
        """Return the SQL that makes the tables where there are none."""


class Writer(ABC):
    """A connection that makes tables and writes rows. Every call may be repeated, after it failed or succeeded."""

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Connect.

        Raises
        ------
        Unavailable
            It can't be reached now.
        DatabaseError
            It refuses, and would again.
        """

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    async def prepare(self, tables: Sequence[Table]) -> None:
        """Make the tables that are missing, and add the columns that are missing in those that are there.

        Raises
        ------
        Unavailable
            It may succeed later.
        DatabaseError
            It refuses, and would again.
        """

    @abstractmethod
    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        """Have the table hold, of each key, the row with the highest (final, revision), of these and those it has.

        Parameters
        ----------
        table
            One that was prepared.
        rows
            Rows in any order, of which several may have the same key.

        Raises
        ------
        Unavailable
            It may succeed later. Some of the rows may have been written.
        DatabaseError
            It refuses, and would again.
        """

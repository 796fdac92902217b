"""QuestDB, by the InfluxDB line protocol over HTTP, into tables that deduplicate by key.

QuestDB keeps the row that came last, not the one with the highest (final, revision). So before each write the writer
asks which rows of the same keys are there, and sends only higher ones.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar

import msgspec

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.errors import DatabaseError
from tickertape.stream.export.define.database import Database, Unavailable, Writer
from tickertape.stream.export.define.table import Row, Table
from tickertape.stream.export.define.web import WebWriter, basic, wrong_url

_TYPES = {"text": "VARCHAR", "integer": "LONG", "number": "DOUBLE", "flag": "BOOLEAN", "list": "VARCHAR"}
# The designated timestamp.
TIME = "start"
# What was written is applied a little later.
_APPLIED_SECONDS, _ASK_SECONDS = 60.0, 0.02
# Of one question, which is in the address of a request.
_MOST_STARTS = 300
_MOST_LINES = 5000


class QuestDB(Database, frozen=True, kw_only=True):
    """Each row is in the table once, with the highest (final, revision), as long as one process writes a result.

    Attributes
    ----------
    url
        The address of its HTTP interface.
    user, password
        Who asks; empty: nobody.
    token
        A bearer token instead.
    """

    kind: ClassVar[str] = "questdb"

    url: str = "http://127.0.0.1:9000"
    user: str = ""
    password: Secret = Secret()
    token: Secret = Secret()

    def wrong(self) -> str:
        if self.token and self.user:
            return "set one of token and user"
        return wrong_url(self.url, self.password, self.token)

    def writer(self) -> Writer:
        return _Writer(self)

    def statements(self, tables: Sequence[Table]) -> list[str]:
        return [_creating(table) for table in tables]


class _Writer(WebWriter):
    def __init__(self, database: QuestDB) -> None:
        if database.token:
            who = f"Bearer {database.token.reveal()}"
        else:
            who = basic(database.user, database.password) if database.user else ""
        super().__init__(database.url, who)

    async def prepare(self, tables: Sequence[Table]) -> None:
        for table in tables:
            if TIME in table.names:
                raise DatabaseError(f"{table.name}: a field may not have the name {TIME}, which is that of its time")
            await self._run(_creating(table))
            known = {
                str(name).lower()
                for (name,) in await self._run(f"select \"column\" from table_columns('{table.name}')")
            }
            for column in table.columns:
                if column.name.lower() not in known:
                    await self._run(
                        f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {_type(table, column.name)}'
                    )

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        (start_at,) = table.at("start_ms")
        ordered = sorted(table.newest(rows), key=lambda row: row[start_at])
        for some in _by_starts(ordered, start_at):
            higher = await self._higher(table, some)
            for at in range(0, len(higher), _MOST_LINES):
                lines = b"".join(_line(table, row) for row in higher[at : at + _MOST_LINES])
                await self.web.ask("POST", "/write", {"precision": "ms"}, lines)

    async def _higher(self, table: Table, rows: Sequence[Row]) -> list[Row]:
        """Return those rows that are higher than what the table has."""
        await self._wait_until_applied(table)
        key_at, rank_at, (start_at,) = table.at(*table.key), table.at("final", "revision"), table.at("start_ms")
        starts = sorted({row[start_at] for row in rows})
        wanted = ", ".join(f'"{name}"' for name in (*table.key, "final", "revision"))
        # Only numbers are in the question, so nothing in a result can change it.
        found = await self._run(
            f'select {wanted} from "{table.name}" where "{TIME}" between {starts[0] * 1000} and {starts[-1] * 1000} '
            f"and start_ms in ({', '.join(map(str, starts))})"
        )
        # An empty symbol is left out of a line, and comes back as null.
        known = {
            tuple("" if of is None else of for of in row[: len(key_at)]): tuple(row[len(key_at) :]) for row in found
        }
        lowest = (False, -1 << 63)
        return [
            row for row in rows if tuple(row[at] for at in rank_at) > known.get(tuple(row[at] for at in key_at), lowest)
        ]

    async def _wait_until_applied(self, table: Table) -> None:
        until = asyncio.get_running_loop().time() + _APPLIED_SECONDS
        while True:
            asked = f"select suspended, writerTxn, sequencerTxn from wal_tables() where name = '{table.name}'"
            for suspended, written, sequenced in await self._run(asked):
                if suspended:
                    raise DatabaseError(f"table {table.name} is suspended: ALTER TABLE {table.name} RESUME WAL")
                if written == sequenced:
                    return
            if asyncio.get_running_loop().time() > until:
                raise Unavailable(f"{table.name}: what was written isn't applied within {_APPLIED_SECONDS:g} s")
            await asyncio.sleep(_ASK_SECONDS)

    async def _run(self, statement: str) -> list[list[Any]]:
        answer = msgspec.json.decode(await self.web.ask("GET", "/exec", {"query": statement, "nm": "true"}))
        rows: list[list[Any]] = answer.get("dataset", [])
        return rows


def _by_starts(rows: Sequence[Row], start_at: int) -> Iterator[list[Row]]:
    """Yield rows, which are in order of their starts, in parts with so many starts at most."""
    part: list[Row] = []
    starts = 0
    for _, some in groupby(rows, key=lambda row: row[start_at]):
        if starts == _MOST_STARTS:
            yield part
            part, starts = [], 0
        part += some
        starts += 1
    if part:
        yield part


def _creating(table: Table) -> str:
    columns = [f'"{TIME}" TIMESTAMP', *(f'"{name}" {_type(table, name)}' for name in table.names)]
    keys = [TIME, *(name for name in table.key if name != "start_ms")]
    return (
        f'CREATE TABLE IF NOT EXISTS "{table.name}" (\n  '
        + ",\n  ".join(columns)
        + f'\n) TIMESTAMP("{TIME}") PARTITION BY DAY WAL\n'
        + "DEDUP UPSERT KEYS("
        + ", ".join(f'"{key}"' for key in keys)
        + ")"
    )


def _type(table: Table, name: str) -> str:
    # What has few values is kept as their numbers.
    (column,) = (column for column in table.columns if column.name == name)
    return "SYMBOL" if column.type == "text" and name in table.key else _TYPES[column.type]


def _line(table: Table, row: Row) -> bytes:
    """Return a row as a line: table,symbols fields time."""
    symbols, fields, start_ms = [], [], 0
    for column, value in zip(table.columns, row, strict=True):
        if column.name == "start_ms":
            start_ms = value
        if value is None or (value == "" and column.name in table.key):
            continue
        if column.type == "text" and column.name in table.key:
            symbols.append(f",{column.name}={_escaped(value)}")
        else:
            fields.append(f"{column.name}={_field(column.type, value)}")
    return f"{table.name}{''.join(symbols)} {','.join(fields)} {start_ms}\n".encode()


def _field(type_: str, value: Any) -> str:
    match type_:
        case "integer":
            return f"{value}i"
        case "flag":
            return "t" if value else "f"
        case "number":
            return repr(value)
        case _:
            quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\\n").replace("\r", "\\\r")
            return f'"{quoted}"'


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in ' ,=\n\r"\\' else letter for letter in text)

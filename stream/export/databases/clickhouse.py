"""ClickHouse, over HTTP: inserts into a ReplacingMergeTree, whose version is made of final and revision."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.export.define.database import Database, Writer
from tickertape.stream.export.define.table import Column, Row, Table
from tickertape.stream.export.define.web import WebWriter, basic, wrong_url

_TYPES = {"text": "String", "integer": "Int64", "number": "Float64", "flag": "Bool", "list": "String"}
# The column that ClickHouse compares rows of one key by.
_VERSION, _TIME = "version", "start"
_FINAL = 1 << 63


class ClickHouse(Database, frozen=True, kw_only=True):
    """Rows of one key are merged to that with the highest (final, revision): at once for ``select … final``.

    Attributes
    ----------
    url
        The address of its HTTP interface.
    database
        The database of the tables, which exists.
    user, password
        Who asks.
    """

    kind: ClassVar[str] = "clickhouse"

    url: str = "http://127.0.0.1:8123"
    database: str = "default"
    user: str = "default"
    password: Secret = Secret()

    def wrong(self) -> str:
        return wrong_url(self.url, self.password)

    def writer(self) -> Writer:
        return _Writer(self)

    def statements(self, tables: Sequence[Table]) -> list[str]:
        return [_creating(self.database, table) for table in tables]


class _Writer(WebWriter):
    def __init__(self, database: ClickHouse) -> None:
        self._database = database
        super().__init__(database.url, basic(database.user, database.password))

    async def prepare(self, tables: Sequence[Table]) -> None:
        database = self._database.database
        for table in tables:
            await self._run(_creating(database, table))
            of = f"{_name(database)}.{_name(table.name)}"
            answer = await self._run(f"DESCRIBE TABLE {of} FORMAT JSONCompactEachRow")
            known = {msgspec.json.decode(line)[0] for line in answer.splitlines()}
            for column in table.columns:
                if column.name not in known:
                    await self._run(f"ALTER TABLE {of} ADD COLUMN IF NOT EXISTS {_column(table, column, added=True)}")

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        names = [*table.names, _VERSION]
        final_at, revision_at = table.at("final", "revision")
        into = ", ".join(map(_name, names))
        lines = [
            msgspec.json.encode(
                dict(zip(names, (*row, (_FINAL if row[final_at] else 0) + row[revision_at]), strict=True))
            )
            for row in table.newest(rows)
        ]
        await self._run(
            f"INSERT INTO {_name(self._database.database)}.{_name(table.name)} ({into}) FORMAT JSONEachRow",
            b"\n".join(lines),
        )

    async def _run(self, statement: str, rows: bytes = b"") -> bytes:
        # One statement to a request; a body may follow it, and is only data.
        return await self.web.ask("POST", "/", {"query": statement}, rows)


def _creating(database: str, table: Table) -> str:
    columns = [_column(table, column) for column in table.columns]
    columns.append(f"{_name(_VERSION)} UInt64 COMMENT {_text('final, then revision, as one number')}")
    if _TIME not in table.names:
        columns.append(f"{_name(_TIME)} DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(start_ms, 'UTC')")
    return (
        f"CREATE TABLE IF NOT EXISTS {_name(database)}.{_name(table.name)} (\n  "
        + ",\n  ".join(columns)
        + f"\n) ENGINE = ReplacingMergeTree({_name(_VERSION)})\n"
        # Rows of one key are in one partition, as the start is part of the key.
        + "PARTITION BY toYYYYMM(fromUnixTimestamp64Milli(start_ms, 'UTC'))\n"
        + f"ORDER BY ({', '.join(map(_name, table.key))})\n"
        + f"COMMENT {_text(table.comment)}"
    )


def _column(table: Table, column: Column, *, added: bool = False) -> str:
    """Return the definition of a column. Rows from before one was added have null there."""
    type_ = _TYPES[column.type]
    # What has few values is kept as their numbers.
    if column.type == "text" and column.name in table.key:
        type_ = "LowCardinality(String)"
    comment = f" COMMENT {_text(column.comment)}" if column.comment else ""
    return f"{_name(column.name)} {f'Nullable({type_})' if column.nullable or added else type_}{comment}"


def _name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

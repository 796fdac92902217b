"""PostgreSQL, with or without Timescale: COPY into a table of the session's own, then one upsert."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.errors import ConfigError, DatabaseError, one_line
from tickertape.stream.export.define.database import Database, Unavailable, Writer
from tickertape.stream.export.define.table import Row, Table

if TYPE_CHECKING:
    import psycopg

_TYPES = {"text": "text", "integer": "bigint", "number": "double precision", "flag": "boolean", "list": "jsonb"}
# The time of a row as a timestamp, where no field has this name.
_TIME = "start"
_CONNECT_SECONDS, _STATEMENT_SECONDS = 10, 300
# Classes of SQLSTATE that pass: connections, transactions rolled back, resources, an operator's doing, the system.
_PASSING = ("08", "40", "53", "55", "57", "58")


class Postgres(Database, frozen=True, kw_only=True):
    """Each row is in the table once, with the highest (final, revision) that was read.

    Attributes
    ----------
    dsn
        How to connect: ``postgresql://user:password@host/database``.
    schema
        The schema of the tables, which exists.
    """

    kind: ClassVar[str] = "postgres"

    dsn: Secret
    schema: str = "public"

    def wrong(self) -> str:
        if not self.schema or "\0" in self.schema or len(self.schema.encode()) > 63:
            return "schema is no name"
        return ""

    def writer(self) -> Writer:
        return _Writer(self)

    def statements(self, tables: Sequence[Table]) -> list[str]:
        return [one.as_string() for table in tables for one in _creating(self.schema, table)]


class _Writer(Writer):
    def __init__(self, database: Postgres) -> None:
        self._database = database
        psycopg = _psycopg()
        try:
            # Its own message would show parts of what can't be read.
            self._options = psycopg.conninfo.conninfo_to_dict(database.dsn.reveal())
        except psycopg.Error:
            raise ConfigError(f"database {database.name}: dsn isn't a connection string of PostgreSQL") from None

    async def __aenter__(self) -> Self:
        options = {
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": "tickertape",
            # A peer that has vanished is noticed.
            "tcp_user_timeout": 30_000,
            "keepalives_idle": 30,
        } | self._options
        psycopg = _psycopg()
        try:
            self._connection = await psycopg.AsyncConnection.connect(**options)
        except psycopg.Error as error:
            raise _told(error) from None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def prepare(self, tables: Sequence[Table]) -> None:
        psycopg = _psycopg()
        try:
            async with self._connection.transaction():
                await self._connection.execute(f"set statement_timeout = '{_STATEMENT_SECONDS}s'")
                for table in tables:
                    await self._prepare(table)
        except psycopg.Error as error:
            raise _told(error) from None

    async def _prepare(self, table: Table) -> None:
        schema = self._database.schema
        # Several processes may start at once. The lock is released with the transaction.
        lock = "select pg_advisory_xact_lock(hashtext(%s))"
        await self._connection.execute(lock, [f"tickertape.{schema}.{table.name}"])
        asked = (
            "select attname from pg_attribute where attnum > 0 and not attisdropped and attrelid = "
            "to_regclass(format('%%I.%%I', %s::text, %s::text))"
        )
        known = {name for (name,) in await (await self._connection.execute(asked, [schema, table.name])).fetchall()}
        changes = _adding(schema, table, known) if known else _creating(schema, table)
        for statement in [*changes, *_staging(schema, table)]:
            await self._connection.execute(statement)

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        psycopg, schema = _psycopg(), self._database.schema
        copy = psycopg.sql.SQL("copy {} ({}) from stdin").format(_stage(table), _names(table.names))
        try:
            async with self._connection.transaction(), self._connection.cursor() as cursor:
                async with cursor.copy(copy) as copying:
                    for row in table.newest(rows):
                        await copying.write_row(row)
                await cursor.execute(_upsert(schema, table))
        except psycopg.Error as error:
            raise _told(error) from None


def _creating(schema: str, table: Table) -> list[Any]:
    """Return the statements that make a table. Every name and comment is quoted by psycopg."""
    sql = _psycopg().sql
    name = sql.Identifier(schema, table.name)
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name), sql.SQL(_TYPES[column.type]), sql.SQL("" if column.nullable else " not null")
        )
        for column in table.columns
    ]
    if _TIME not in table.names:
        made = "{} timestamptz generated always as (to_timestamp(start_ms / 1000.0)) stored"
        columns.append(sql.SQL(made).format(sql.Identifier(_TIME)))
    columns.append(sql.SQL("primary key ({})").format(_names(table.key)))
    body = sql.SQL(",\n  ").join(columns)
    index = sql.SQL("create index on {} (start_ms)").format(name)
    return [sql.SQL("create table {} (\n  {}\n)").format(name, body), index, *_comments(schema, table)]


def _adding(schema: str, table: Table, known: set[str]) -> list[Any]:
    """Return the statements that add the columns that aren't known. Rows from before have null there."""
    sql = _psycopg().sql
    name = sql.Identifier(schema, table.name)
    return [
        sql.SQL("alter table {} add column {} {}").format(
            name, sql.Identifier(column.name), sql.SQL(_TYPES[column.type])
        )
        for column in table.columns
        if column.name not in known
    ]


def _comments(schema: str, table: Table) -> list[Any]:
    sql = _psycopg().sql
    found = []
    if table.comment:
        of = sql.Identifier(schema, table.name)
        found.append(sql.SQL("comment on table {} is {}").format(of, sql.Literal(table.comment)))
    for column in table.columns:
        if column.comment:
            of = sql.Identifier(schema, table.name, column.name)
            found.append(sql.SQL("comment on column {} is {}").format(of, sql.Literal(column.comment)))
    return found


def _staging(schema: str, table: Table) -> list[Any]:
    """Return the statement that makes the session's own table, whose rows end with each transaction."""
    sql = _psycopg().sql
    make = "create temporary table if not exists {} on commit delete rows as select {} from {} with no data"
    return [sql.SQL(make).format(_stage(table), _names(table.names), sql.Identifier(schema, table.name))]


def _stage(table: Table) -> Any:
    return _psycopg().sql.Identifier("pg_temp", table.name)


def _upsert(schema: str, table: Table) -> Any:
    sql = _psycopg().sql
    taken = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in table.names if name not in table.key
    )
    return sql.SQL(
        "insert into {table} as t ({names}) select {names} from {stage} order by {key} "
        "on conflict ({key}) do update set {taken} "
        "where (excluded.final, excluded.revision) > (t.final, t.revision)"
    ).format(
        table=sql.Identifier(schema, table.name),
        names=_names(table.names),
        stage=_stage(table),
        key=_names(table.key),
        taken=taken,
    )


def _names(names: Sequence[str]) -> Any:
    sql = _psycopg().sql
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _told(error: psycopg.Error) -> Exception:
    state, said = error.sqlstate or "", one_line(str(error)) or type(error).__name__
    # Without a state there was no answer. That a user or a database doesn't exist is class 28 and 3D.
    if (state.startswith(_PASSING) or not state) and isinstance(error, _psycopg().OperationalError):
        refused = any(word in said for word in ("authentication failed", "does not exist", "no pg_hba.conf entry"))
        return DatabaseError(said) if refused else Unavailable(said)
    return DatabaseError(f"{said} (SQLSTATE {state})" if state else said)


def _psycopg() -> Any:
    try:
        import psycopg
        import psycopg.conninfo
        import psycopg.sql
    except ImportError:
        raise ConfigError("a database of the kind postgres needs psycopg: pip install 'tickertape[postgres]'") from None
    return psycopg

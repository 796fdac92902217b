"""One real database of each kind for the whole session; it starts with the first test that asks for it."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from tests.export import servers
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.export.databases.clickhouse import ClickHouse
from tickertape.stream.export.databases.postgres import Postgres
from tickertape.stream.export.databases.questdb import QuestDB
from tickertape.stream.export.define.database import Database

_count = itertools.count(1)


class Real(NamedTuple):
    """A database that runs, and how to ask it."""

    database: Database
    #: Returns the rows that the database itself says are in a table, as far as these columns, in no order.
    rows: Callable[[str, Sequence[str]], list[list[Any]]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Postgres]:
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def _clickhouse() -> Iterator[servers.Http]:
    with servers.clickhouse() as server:
        yield server


@pytest.fixture(scope="session")
def _questdb() -> Iterator[servers.Http]:
    with servers.questdb() as server:
        yield server


@pytest.fixture(params=[pytest.param("postgres", marks=pytest.mark.postgres), "clickhouse", "questdb"])
def real(request: pytest.FixtureRequest) -> Real:
    if request.param == "postgres":
        running: servers.Postgres = request.getfixturevalue("postgres")
        dsn = Secret(running.dsn)
        return Real(
            Postgres(name="p", dsn=dsn),
            lambda table, names: [list(row) for row in running.ask(f'select {_quoted(names)} from "{table}"')],
        )
    server: servers.Http = request.getfixturevalue(f"_{request.param}")
    if request.param == "clickhouse":
        return Real(
            ClickHouse(name="c", url=server.url, password=Secret(servers.PASSWORD)),
            lambda table, names: server.rows(f'select {_quoted(names)} from "{table}" final'),
        )

    def applied(table: str, names: Sequence[str]) -> list[list[Any]]:
        asked = f"select 1 from wal_tables() where name = '{table}' and writerTxn < sequencerTxn"
        while server.rows(asked):
            pass
        return server.rows(f'select {_quoted(names)} from "{table}"')

    return Real(QuestDB(name="q", url=server.url, user="tester", password=Secret(servers.PASSWORD)), applied)


@pytest.fixture
def table_name() -> str:
    return f"bars_{next(_count)}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)

"""The file of databases: what it may say, and what it may not."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.export.made import row, table
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.entries import kinds_in
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.export.databases.clickhouse import ClickHouse
from tickertape.stream.export.databases.postgres import Postgres
from tickertape.stream.export.define.database import Database
from tickertape.stream.export.plan import OURS, chosen, exported, load

EXAMPLE = Path(__file__).parents[2] / "docs" / "databases.toml"
MAIN = '[[database]]\nname = "main"\nkind = "postgres"\ndsn_env = "DSN"\n'


def test_the_example_has_every_kind(tmp_path: Path) -> None:
    (tmp_path / "databases.toml").write_text(EXAMPLE.read_text())
    (tmp_path / "clickhouse-password").write_text("hush\n")
    found = load(str(tmp_path / "databases.toml"), [], {"WAREHOUSE_DSN": "postgresql://u:hush@h/d"})
    kinds = kinds_in([OURS], Database, "database")  # type: ignore[type-abstract]  # it is never made itself
    assert {database.kind for database in found.values()} == set(kinds)
    warehouse, columns = found["warehouse"], found["columns"]
    assert isinstance(warehouse, Postgres)
    assert warehouse.dsn == Secret("postgresql://u:hush@h/d")
    assert isinstance(columns, ClickHouse)
    assert columns.password == Secret("hush")
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MAIN.replace("dsn_env", "dsn"), "database main: dsn is a secret: write dsn_env or dsn_file instead"),
        (MAIN.replace("DSN", "NOT"), "database main: dsn_env names NOT, which isn't set"),
        (MAIN + MAIN, "two databases have the name main"),
        (MAIN.replace("main", "a/b"), "a name has letters, digits, `_` and `-`"),
        (MAIN.replace("postgres", "oracle"), "no such kind, oracle; there are clickhouse, postgres, questdb"),
        (MAIN + "every_seconds = 0\n", "every_seconds"),
        (MAIN + "most_rows = 0\n", "most_rows"),
        (MAIN + 'schema = ""\n', "schema is no name"),
        (MAIN + "tls = 1\n", "unknown field `tls`"),
        ('[[database]]\nname = "c"\nkind = "clickhouse"\nurl = "ftp://h"\n', "url has to be an address"),
        ('[[database]]\nname = "c"\nkind = "clickhouse"\nurl = "http://u:p@h"\n', "url may not have a user"),
        (
            '[[database]]\nname = "c"\nkind = "clickhouse"\nurl = "http://far:8123"\npassword_env = "DSN"\n',
            "url must begin with https://, because a secret is sent there",
        ),
        ('[[database]]\nname = "q"\nkind = "questdb"\nuser = "u"\ntoken_env = "DSN"\n', "set one of token and user"),
    ],
)
def test_what_is_wrong_is_told_without_the_secret(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "databases.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load(str(file), [], {"DSN": "hunter2"})
    assert told in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_connection_string_that_can_not_be_read_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "databases.toml"
    file.write_text(MAIN)
    found = load(str(file), [], {"DSN": "hunter2 is no connection string"})
    with pytest.raises(ConfigError, match="database main: dsn isn't a connection string of PostgreSQL"):
        found["main"].writer()


def test_what_is_chosen_has_to_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSN", "postgresql://h/d")
    (tmp_path / "databases.toml").write_text(MAIN + 'topics = ["bars", "nothing"]\n')
    settings = Settings(databases=str(tmp_path / "databases.toml"))
    with pytest.raises(ConfigError, match="other: no such database; there are main"):
        chosen(settings, "other")
    with pytest.raises(ConfigError, match="database main: nothing has no results; use of bars, indicators"):
        exported(settings, chosen(settings, "main"))
    with pytest.raises(ConfigError, match="setting: databases names no file"):
        chosen(Settings(), "main")


def test_the_database_of_the_page_works(tmp_path: Path) -> None:
    page = EXAMPLE.with_name("export.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "lite.py").write_text(code)
    (tmp_path / "databases.toml").write_text(f'[[database]]\nname = "l"\nkind = "sqlite"\npath = "{tmp_path}/db"\n')
    (found,) = load(str(tmp_path / "databases.toml"), [f"{tmp_path}/"], {}).values()

    async def write() -> None:
        async with found.writer() as writer:
            await writer.prepare([table("bars")])
            await writer.write(table("bars"), [row("A", 0, True, 3), row("A", 0, False, 9), row("A", 1, False, 2)])
            await writer.write(table("bars"), [row("A", 0, True, 2), row("A", 1, False, 3)])

    asyncio.run(write())
    with closing(sqlite3.connect(tmp_path / "db")) as file:
        assert file.execute("select * from bars order by start_ms").fetchall() == [
            row("A", 0, True, 3),
            row("A", 1, False, 3),
        ]


OWN = """
from typing import ClassVar
from tickertape import Database, Secret, Writer

class Ledger(Database, frozen=True, kw_only=True):
    kind: ClassVar[str] = "ledger"
    token: Secret
"""


def test_a_database_of_a_users_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "ledger.py").write_text(OWN)
    (tmp_path / "databases.toml").write_text('[[database]]\nname = "l"\nkind = "ledger"\ntoken_env = "T"\n')
    (found,) = load(str(tmp_path / "databases.toml"), [f"{tmp_path}/"], {"T": "hush"}).values()
    assert found.kind == "ledger"
    assert found.hide("it says hush\nto all") == "it says … to all"

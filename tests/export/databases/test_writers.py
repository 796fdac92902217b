"""Each kind of database, the real one: what is in a table after rows were written in any order, and again."""

import asyncio
import itertools
import string
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.conftest import Real
from tests.export.made import NAMES, row, table
from tests.export.servers import PASSWORD
from tickertape.stream.configuration.connection import Secret
from tickertape.stream.errors import DatabaseError
from tickertape.stream.export.databases.clickhouse import ClickHouse
from tickertape.stream.export.databases.postgres import Postgres
from tickertape.stream.export.databases.questdb import QuestDB
from tickertape.stream.export.define.database import Database, Unavailable, Writer
from tickertape.stream.export.define.table import Column, Row, Table
from tickertape.stream.kafka.embedded.ports import free_ports

# Few of each, so that they meet: symbol, second, final, revision.
results = st.tuples(st.sampled_from("AB"), st.integers(0, 2), st.booleans(), st.integers(0, 4))
batches = st.lists(st.lists(results, min_size=1, max_size=8), min_size=1, max_size=5)
_prefix = itertools.count()


def written(database: Database, of: Table, batches: Sequence[Sequence[Row]]) -> None:
    async def write() -> None:
        async with database.writer() as writer:
            await writer.prepare([of])
            for rows in batches:
                await writer.write(of, rows)

    asyncio.run(write())


def test_the_highest_stays_in_whatever_order_they_come(real: Real) -> None:
    """The model is a dict that is told what counts by hand: final first, then the revision."""
    of = table("in_any_order")
    loop = asyncio.new_event_loop()

    async def opened() -> Writer:
        writer = await real.database.writer().__aenter__()
        await writer.prepare([of])
        return writer

    writer = loop.run_until_complete(opened())

    @settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(batches)
    def check(drawn: list[list[tuple[str, int, bool, int]]]) -> None:
        prefix = f"{next(_prefix)}-"
        model: dict[tuple[str, int], tuple[bool, int]] = {}
        for some in drawn:
            rows = [row(prefix + symbol, second, final, revision) for symbol, second, final, revision in some]
            loop.run_until_complete(writer.write(of, rows))
            for symbol, second, final, revision in some:
                known_final, known_revision = model.get((symbol, second), (False, -1))
                if (final and not known_final) or (final == known_final and revision > known_revision):
                    model[symbol, second] = final, revision
        expected = [list(row(prefix + symbol, second, *rank)) for (symbol, second), rank in model.items()]
        found = [one for one in real.rows(of.name, NAMES) if str(one[0]).startswith(prefix)]
        assert sorted(map(_plain, found)) == sorted(map(_plain, expected))

    try:
        check()
    finally:
        loop.run_until_complete(writer.__aexit__(None, None, None))
        loop.close()


def test_what_is_written_twice_is_there_once(real: Real, table_name: str) -> None:
    of = table(table_name)
    rows = [row("A", second, True, 3) for second in range(50)]
    written(real.database, of, [rows, rows])
    written(real.database, of, [rows[10:30]])
    assert sorted(map(_plain, real.rows(table_name, NAMES))) == sorted(map(_plain, rows))


HOSTILE = [
    "'; drop table {t}; --",
    '"; drop table {t}; --',
    "`; DROP TABLE {t}; --",
    "\\'; drop table {t}; --",
    "a,source=x b=1i 1\n{t},symbol=y c=2i",
    "\\\n\r\t\\. \\N",
    "$$;drop table {t};$$ %s %(a)s {{}} {0}",
    string.punctuation,
    "\N{SNOWMAN}\N{COMBINING DIAERESIS}\U0001f600",
    " ",
]


def test_no_symbol_changes_a_statement(real: Real, table_name: str) -> None:
    of = table(table_name)
    symbols = [text.replace("{t}", table_name) for text in HOSTILE]
    rows = [row(symbol, at, True, 1) for at, symbol in enumerate(symbols)]
    # Twice, so that they are compared with what is there, too.
    written(real.database, of, [rows, rows])
    assert sorted(map(_plain, real.rows(table_name, NAMES))) == sorted(map(_plain, rows))


def test_a_new_field_is_a_new_column(real: Real, table_name: str) -> None:
    written(real.database, table(table_name), [[row("A", 0, True, 1)]])
    wider = table(table_name, Column("spread_bps", "number", False, "[basis points] The spread."))
    written(real.database, wider, [[(*row("A", 1, True, 1), 2.5)]])
    found = sorted(real.rows(table_name, ["start_ms", "spread_bps"]), key=lambda one: int(one[0]))
    assert [spread for _, spread in found] == [None, 2.5]


@pytest.mark.parametrize(
    "away",
    [
        lambda port: Postgres(name="p", dsn=Secret(f"postgresql://u:{PASSWORD[:4]}@127.0.0.1:{port}/d")),
        lambda port: ClickHouse(name="c", url=f"http://127.0.0.1:{port}", password=Secret(PASSWORD)),
        lambda port: QuestDB(name="q", url=f"http://127.0.0.1:{port}", user="u", password=Secret(PASSWORD)),
    ],
)
def test_one_that_does_not_answer_may_come_back(away: object) -> None:
    with pytest.raises(Unavailable) as told:
        written(away(next(free_ports("127.0.0.1"))), table("t"), [])  # type: ignore[operator]  # one of the functions above
    assert PASSWORD[:4] not in str(told.value)


def test_a_wrong_password_is_told_and_not_shown(real: Real) -> None:
    if isinstance(real.database, Postgres):
        _, _, place = real.database.dsn.reveal().partition("@127")
        change = {"dsn": Secret(f"postgresql://tester:hunter2@127{place}")}
    else:
        change = {"password": Secret("hunter2")}
    database = msgspec.structs.replace(real.database, **change)
    with pytest.raises(DatabaseError) as told:
        written(database, table("t"), [])
    assert any(word in str(told.value).lower() for word in ("authentication failed", "unauthorized"))
    assert "hunter2" not in str(told.value)


def _plain(values: Sequence[object]) -> str:
    """Return a row as text, whose numbers are all floats and whose JSON has no spaces."""
    shown = []
    for name, value in zip(NAMES, values, strict=True):
        if name == "most":
            parsed = msgspec.json.decode(value) if isinstance(value, str) else value
            shown.append(msgspec.json.encode(parsed).decode())
        else:
            shown.append(repr(float(value)) if isinstance(value, int | float) else repr(value))
    return " ".join(shown)

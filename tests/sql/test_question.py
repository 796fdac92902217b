"""A query reads its tables and nothing else, and is ended when it takes too much."""

from collections.abc import Collection, Mapping

import pyarrow as pa
import pytest

from tickertape.stream.errors import ConfigError, InputError
from tickertape.stream.sql import question
from tickertape.stream.sql.question import Answer, Bounds, tables_in

BARS = {"bars": pa.table({"symbol": ["A", "A", "B"], "close": [1.0, 2.0, 4.0]})}


def answer(sql: str, tables: Mapping[str, pa.Table], bounds: Bounds) -> Answer:
    return question.answer(sql, lambda _: tables, bounds)


def test_it_answers() -> None:
    found = answer("select symbol, sum(close) as total from bars group by symbol order by symbol", BARS, Bounds())
    assert found.table.to_pylist() == [{"symbol": "A", "total": 3.0}, {"symbol": "B", "total": 4.0}]
    assert not found.is_cut


def test_rows_beyond_the_bound_are_cut() -> None:
    found = answer("select * from range(5000)", {}, Bounds(rows=3000))
    assert found.table.column(0).to_pylist() == list(range(3000))
    assert found.is_cut
    assert not answer("select * from range(3000)", {}, Bounds(rows=3000)).is_cut


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select * from bars", {"bars"}),
        ("from bars", {"bars"}),
        ("with x as (select * from bars) select * from x join quote_bars using (symbol)", {"bars", "x", "quote_bars"}),
        (
            "select (select max(close) from bars) from signals where 1 in (select 2 from social)",
            {"bars", "signals", "social"},
        ),
        ("select 'from bars'", set()),
    ],
)
def test_it_names_the_tables_that_it_reads(query: str, names: set[str]) -> None:
    assert tables_in(query) == names


@pytest.mark.parametrize(
    "query", ["select 1; select 2", "selec 1", "drop table bars", "copy bars to 'bars.csv'", "attach 'x'", ""]
)
def test_only_one_query_is_taken(query: str) -> None:
    with pytest.raises(ConfigError, match=r"^sql: "):
        tables_in(query)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_text('/etc/hostname')",
        "select * from glob('/*')",
        "select * from nothing",
        "select nothing from bars",
        "insert into bars values ('C', 1.0)",
        "set memory_limit = '8GB'",
        "install httpfs",
    ],
)
def test_it_reaches_nothing_else(query: str) -> None:
    with pytest.raises(ConfigError, match=r"^sql: "):
        answer(query, BARS, Bounds())


def test_a_query_that_takes_too_long_is_ended() -> None:
    with pytest.raises(InputError, match="took more than 1 s"):
        answer("select count(*) from range(100000000) a, range(1000000) b", {}, Bounds(seconds=1))


@pytest.mark.parametrize("query", ["select list(range) from range(100000000)", "select repeat('x', 2000000000)"])
def test_a_query_that_takes_too_much_memory_is_ended(query: str) -> None:
    with pytest.raises(InputError, match="more than 128 MiB"):
        answer(query, {}, Bounds(mib=128, seconds=200))


@pytest.mark.parametrize(
    "query",
    [
        f"select {'(' * 20_000}1{')' * 20_000}",
        f"select {'not ' * 20_000}true",
        " union all ".join(["select 1"] * 3_000),
        f"select {'[' * 5_000}1{']' * 5_000}",
    ],
)
def test_one_that_is_nested_deeply_harms_only_its_own_process(query: str) -> None:
    try:
        answer(query, {}, Bounds(mib=128, seconds=20))
    except (ConfigError, InputError) as error:
        assert "\n" not in str(error)  # noqa: PT017 - some of them are short enough for some version


def test_only_the_tables_that_are_read_are_asked_for() -> None:
    asked = []

    def tables(names: Collection[str]) -> Mapping[str, pa.Table]:
        asked.append(set(names))
        return BARS

    found = question.answer("select count(*) as n from bars where 'signals' = symbol", tables, Bounds())
    assert found.table.to_pylist() == [{"n": 0}]
    assert asked == [{"bars"}]

"""``tickertape sql``."""

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from tickertape.stream.configuration.numbers import FiniteRange
from tickertape.stream.configuration.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@click.argument("query")
@click.option(
    "--hours",
    type=FiniteRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="Read results that began within so many hours.",
)
@click.option("--finals", is_flag=True, help="Read only final results.")
@click.option("--rows", type=click.IntRange(1), default=1000, show_default=True, help="Print so many rows at most.")
@click.option(
    "--seconds",
    type=FiniteRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="End the query after this time.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "arrow"]),
    default="table",
    show_default=True,
    help="How the rows are printed; arrow is a stream of Arrow's IPC format.",
)
@click.pass_obj
def sql(settings: Settings, query: str, hours: float, finals: bool, rows: int, seconds: float, form: str) -> None:
    """Ask the newest results with SQL: `tickertape sql "select symbol, max(high) from bars group by symbol"`.

    Each topic of results is a table; `quote-bars` is called quote_bars. `tickertape sql "show tables"` lists them, and
    "describe bars" their columns. A query can't change anything. DuckDB runs it in a process of its own, with
    limits of time and memory.
    """
    settings.the_broker()
    from tickertape.stream.sql.question import Bounds, answer, check
    from tickertape.stream.sql.tables import tables

    check()
    found = answer(
        query,
        lambda wanted: tables(settings, wanted, timedelta(hours=hours), finals=finals),
        Bounds(seconds=seconds, rows=rows),
    )
    _PRINT[form](found.table)
    if found.is_cut:
        click.echo(f"only the first {rows:,} rows; --rows gives more", err=True)


def _print_table(table: "pa.Table") -> None:
    from rich.console import Console
    from rich.table import Table

    from tickertape.stream.terminal.shown import shown

    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for field in table.schema:
        drawn.add_column(shown(field.name), justify="left" if str(field.type) == "string" else "right")
    for row in table.to_pylist():
        drawn.add_row(*("" if value is None else shown(str(value)) for value in row.values()))
    Console().print(drawn)


def _print_csv(table: "pa.Table") -> None:
    import csv

    writer = csv.writer(sys.stdout)
    writer.writerow(table.column_names)
    writer.writerows(zip(*(column.to_pylist() for column in table.columns), strict=True))


def _print_json(table: "pa.Table") -> None:
    import msgspec

    for row in table.to_pylist():
        click.echo(msgspec.json.encode(row).decode())


def _print_arrow(table: "pa.Table") -> None:
    import pyarrow as pa

    with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
        stream.write_table(table)


_PRINT = {"table": _print_table, "csv": _print_csv, "json": _print_json, "arrow": _print_arrow}

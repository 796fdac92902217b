"""``tickertape tail`` and ``tickertape demo``."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tickertape.schemas.topics import SLICES
from tickertape.stream.configuration.numbers import FiniteRange
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.console.options import page_options
from tickertape.stream.errors import ConfigError, LawBroken

if TYPE_CHECKING:
    from tickertape.stream.terminal.tail import ColumnTypes


@click.command()
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, with all of a record's fields.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest retained record, not with the next one.")
@click.option("--symbol", metavar="NAME", help="Print only records of this symbol, for example BTC-USDT.")
@click.option("--finals", is_flag=True, help="Print only final results.")
@click.option("--until-caught-up", is_flag=True, help="End once everything that the topic holds now is printed.")
@click.option("--raw", is_flag=True, help="Print invisible characters as they are. A terminal may obey them.")
@click.pass_obj
def tail(
    settings: Settings,
    topic: str,
    as_json: bool,
    from_beginning: bool,
    symbol: str | None,
    finals: bool,
    until_caught_up: bool,
    raw: bool,
) -> None:
    """Print a topic's records as they arrive."""
    from tickertape.stream.engine.define.discovery import discover

    if topic not in (names := [known_topic.name for known_topic in discover(settings.agents).topics]):
        raise ConfigError(f"unknown topic {topic}; the topics are {', '.join(names)}")
    settings.the_broker()
    from tickertape.stream.kafka.clients.reader import Reader
    from tickertape.stream.terminal import tail

    async def run() -> None:
        async with Reader(settings, [topic], from_beginning=from_beginning) as reader:
            await tail.tail(
                reader,
                topic,
                sys.stdout,
                as_json=as_json,
                symbol=symbol,
                finals=finals,
                until_caught_up=until_caught_up,
                column_types=_slice_column_types(settings) if topic == SLICES.name else _no_column_types,
                raw=raw,
            )

    asyncio.run(run())


def _slice_column_types(settings: Settings) -> "ColumnTypes":
    # Frames don't carry the types of their columns; the agents that make them declare these.
    from tickertape.stream.engine.define.discovery import discover

    slicings = discover(settings.agents).slicings
    dtypes = {s.topic.name: {name: dtype for name, (dtype, _) in s.aggregate.schema.items()} for s in slicings}
    return lambda topic: dtypes.get(topic, {})


def _no_column_types(_: str) -> dict[str, Any]:
    return {}


@click.command()
@click.option("--for", "seconds", type=FiniteRange(0, min_open=True), help="End after this many seconds.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Number of workers.")
@click.option(
    "--rate", type=FiniteRange(0, min_open=True), default=5000.0, show_default=True, help="Trades per second."
)
@click.option("--symbols", type=click.IntRange(1, 100_000), default=20, show_default=True, help="Number of symbols.")
@page_options
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Write the balance to this JSON file.")
@click.pass_obj
def demo(
    settings: Settings,
    seconds: float | None,
    workers: int,
    rate: float,
    symbols: int,
    page: bool,
    port: int | None,
    open_page: bool,
    summary: Path | None,
) -> None:
    """Run a demo: workers on Kafka, a simulated market, a page and a live table, a killed worker, and a balance.

    Without a broker in the settings, the demo runs an embedded Kafka. The exit code is 0 only if no trade was lost and
    none counts twice.
    """
    from rich.console import Console

    from tickertape.stream.console.beside import PageOptions
    from tickertape.stream.terminal.demo import DemoOptions, run
    from tickertape.stream.terminal.screen import Screen

    if summary is not None and not summary.parent.is_dir():
        raise ConfigError(f"--summary {summary}: the folder doesn't exist")
    # End started processes in good order on SIGTERM, also before the demo installs its own handler.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    options = DemoOptions(
        seconds=seconds, workers=workers, rate=rate, symbols=symbols, page=PageOptions(page, port, open_page)
    )
    balance = run(settings, options, Screen(Console()))
    click.echo(str(balance))
    if summary is not None:
        balance.write(summary)
    if not balance.ok:
        raise LawBroken("; ".join(balance.broken))

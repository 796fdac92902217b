"""``tickertape feed run`` and ``feed check``: many feeds from a file, and what feeds would bring."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickertape.stream.configuration.numbers import FiniteRange
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.telemetry import logs

if TYPE_CHECKING:
    from tickertape.stream.feeds.together.check import Heard

USUAL_FILE = "feeds.toml"
PIPE_COLUMNS = 200
NONE = "-"
# What a check returns if a symbol got nothing.
NOTHING_CAME = 1


@click.command("run")
@click.argument("path", metavar="FILE", default=USUAL_FILE, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--record",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Record each message as it comes, in one file per source, connection and hour, for `tickertape feed file`.",
)
@click.option("--json", "as_json", is_flag=True, help="Show the state as JSON, an object a source and second.")
@click.pass_obj
def run(settings: Settings, path: Path, record: Path | None, as_json: bool) -> None:
    """Send the events of all feeds in FILE, in one process.

    FILE is `feeds.toml` by default. A feed that fails is started again, and the others go on. Runs until it is stopped.
    """
    settings.the_broker()
    from rich.console import Console

    from tickertape.stream.feeds.together import file, running

    plans = file.read(path, settings)
    console = Console(stderr=True)
    logs.set_up_beside(console, settings.log_format)
    running.run(settings, plans, record, console, as_json=as_json)


@click.command("check")
@click.argument("words", nargs=-1, metavar="[FILE | FEED SYMBOL...]")
@click.option(
    "--for",
    "seconds",
    type=FiniteRange(0, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to listen.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a symbol.")
@click.pass_context
def check(context: click.Context, words: Sequence[str], seconds: float, as_json: bool) -> None:
    """Listen to feeds for some seconds, and say what came of each symbol, or why nothing did. Nothing is published.

    The feeds are those of FILE, which ends with .toml and is `feeds.toml` by default, or one FEED with its symbols. The
    exit code is 1 if nothing came of a symbol.
    """
    import msgspec

    from tickertape.stream.feeds.together import check as checking
    from tickertape.stream.feeds.together import file
    from tickertape.stream.feeds.together.plan import of_arguments

    settings: Settings = context.obj
    logging.basicConfig(format="%(message)s")
    first, *symbols = words or (USUAL_FILE,)
    if first.endswith(".toml") and not symbols:
        plans = file.read(Path(first), settings)
    else:
        plans = [of_arguments(first, symbols, settings)]
    checks = [checking.Check(plan, settings) for plan in plans]
    found = asyncio.run(checking.check(checks, seconds))
    if as_json:
        for one in found:
            click.echo(msgspec.json.encode(one))
    else:
        _print(found)
    if not all(one.events for one in found):
        context.exit(NOTHING_CAME)


def _print(found: "Sequence[Heard]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    topics = list(dict.fromkeys(topic for one in found for topic in one.events))
    table = Table(box=None, pad_edge=False)
    for name in ("source", "symbol"):
        table.add_column(name, no_wrap=True)
    for name in (*topics, "delay", "price", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        counts = [f"{one.events[topic]:,}" if topic in one.events else NONE for topic in topics]
        delay = NONE if one.delay_ms is None else f"{one.delay_ms:,.0f} ms"
        age = NONE if one.age_seconds is None else f"{one.age_seconds:.1f} s"
        price = NONE if one.price is None else f"{one.price:,.10g}"
        table.add_row(Text(one.source), Text(one.symbol), *counts, delay, price, age)
    console = Console()
    console = console if console.is_terminal else Console(width=PIPE_COLUMNS)
    console.print(table)
    for one in found:
        for problem in one.problems:
            name = f"{one.source} {one.symbol}".rstrip()
            console.print(f"{name}: {problem}", markup=False, highlight=False, soft_wrap=True)

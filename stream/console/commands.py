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
from tickertape.stream.errors import ConfigError, LawBroken

if TYPE_CHECKING:
    from tickertape.stream.console.tail import Types


@click.command()
@click.argument("topic")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, with all that is in the record.")
@click.option("--from-beginning", is_flag=True, help="All that is kept; else only what comes from now on.")
@click.option("--symbol", metavar="NAME", help="Only what is of this symbol: BTC-USDT.")
@click.option("--finals", is_flag=True, help="Only results that are final.")
@click.option("--until-caught-up", is_flag=True, help="End when all that is there now has been printed.")
@click.option("--raw", is_flag=True, help="Characters that can't be seen as they are; a terminal may obey them.")
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
    """Print the records of a topic as they come."""
    from tickertape.stream.engine.define.discovery import discover

    if topic not in (names := [known.name for known in discover(settings.agents).topics]):
        raise ConfigError(f"{topic}: no such topic; there are {', '.join(names)}")
    settings.the_broker()
    from tickertape.stream.console import tail
    from tickertape.stream.kafka.clients.reader import Reader

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
                types=_slice_types(settings) if topic == SLICES.name else _no_types,
                raw=raw,
            )

    asyncio.run(run())


def _slice_types(settings: Settings) -> "Types":
    # The frames don't say; the agents that make them do.
    from tickertape.stream.engine.define.discovery import discover

    slicings = discover(settings.agents).slicings
    known = {s.topic.name: {name: dtype for name, (dtype, _) in s.aggregate.schema.items()} for s in slicings}
    return lambda topic: known.get(topic, {})


def _no_types(_: str) -> dict[str, Any]:
    return {}


@click.command()
@click.option("--for", "seconds", type=FiniteRange(0, min_open=True), help="End by itself after so many seconds.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True)
@click.option("--rate", type=FiniteRange(0, min_open=True), default=5000.0, show_default=True, help="Trades/s.")
@click.option("--symbols", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.option("--summary", type=click.Path(path_type=Path, dir_okay=False), help="Write the balance as JSON.")
@click.pass_obj
def demo(
    settings: Settings, seconds: float | None, workers: int, rate: float, symbols: int, summary: Path | None
) -> None:
    """Show it all: Kafka, workers, a simulated market, a live table, a worker killed, and the balance at the end.

    Where no broker is set, an embedded Kafka runs along. Exits 0 only if nothing was lost and nothing counts twice.
    """
    from rich.console import Console

    from tickertape.stream.console.demo import Plan, run
    from tickertape.stream.console.screen import Screen

    if summary is not None and not summary.parent.is_dir():
        raise ConfigError(f"{summary}: there is no such folder")
    # So that what was started is ended in good order before there is anything to show, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    plan = Plan(seconds=seconds, workers=workers, rate=rate, symbols=symbols)
    with Screen(Console()) as screen:
        balance = run(settings, plan, screen)
    click.echo(str(balance))
    if summary is not None:
        balance.write(summary)
    if not balance.ok:
        raise LawBroken("; ".join(balance.broken))

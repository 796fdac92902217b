"""``tickertape top``."""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tickertape.stream.configuration.settings import Settings

if TYPE_CHECKING:
    from tickertape.stream.watch.state import State

PLAIN_SECONDS = 2.0


@click.command()
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    help="Where `tickertape up` shows its metrics, for the memory and CPU of workers; by default `console_metrics`.",
)
@click.pass_obj
def top(settings: Settings, metrics: str | None) -> None:
    """Show a running pipeline in the terminal: workers, partitions, rates, lag and takeovers.

    In a pipe it prints a line every other second.
    """
    from tickertape.schemas.topics import SLICES
    from tickertape.stream.engine.define.discovery import discover
    from tickertape.stream.watch.state import Watch
    from tickertape.stream.watch.worker_numbers import WorkerNumbers

    broker = settings.the_broker()
    read = [topic for topic in discover(settings.agents).topics if topic.is_input or topic == SLICES]
    address = metrics or settings.console_metrics
    watch = Watch(settings, read, WorkerNumbers(f"http://{address}/sd") if address else dict)
    if not sys.stdout.isatty():
        _print_lines(watch.now)
        return
    from tickertape.stream.top.app import Top

    Top(f"{settings.group} at {broker}", watch.now).run()


def _print_lines(now: "Callable[[], State]") -> None:
    from tickertape.stream.errors import TickertapeError
    from tickertape.stream.top import tables
    from tickertape.stream.top.changes import changes

    before: State | None = None
    while True:
        try:
            state = now()
        except TickertapeError as error:
            click.echo(f"{time.strftime('%H:%M:%S')}   {error}")
        else:
            for what in changes(before or state, state):
                click.echo(f"{time.strftime('%H:%M:%S')}   {what}")
            click.echo(f"{time.strftime('%H:%M:%S')}   {tables.line(state)}")
            before = state
        time.sleep(PLAIN_SECONDS)

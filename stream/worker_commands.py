"""``tickertape worker`` and ``tickertape up``."""

import os
import signal
import socket
from contextlib import suppress

import click

from stream.errors import BrokerError
from stream.settings import Settings


@click.command()
@click.option(
    "--slot",
    help="Its name among the workers, the same after a restart; by default of the machine and the process, which in a "
    "container stay the same.",
    metavar="NAME",
)
@click.option("--supervised", is_flag=True, hidden=True, help="Stop at the end of standard input.")
@click.pass_obj
def worker(settings: Settings, slot: str | None, supervised: bool) -> None:
    """Run one worker until SIGTERM or Ctrl-C; then it drains, commits and exits within ten seconds."""
    from stream.worker import run

    run(settings, slot or f"{socket.gethostname()}-{os.getpid()}", supervised=supervised)


@click.command()
@click.option("--workers", type=click.IntRange(1), help="How many; by default one a core.", metavar="N")
@click.pass_obj
def up(settings: Settings, workers: int | None) -> None:
    """Run workers until SIGTERM or Ctrl-C, and start again any that dies.

    Where no broker is set, an embedded Kafka runs along, its topics created.
    """
    from msgspec.structs import replace

    from stream.kafka import topics
    from stream.kafka.embedded import broker_for
    from stream.workers import Supervisor, cores

    with broker_for(settings) as broker:
        if not settings.broker:
            topics.create(broker, settings)
            click.echo(f"Kafka is up at {broker}; elsewhere: export TICKERTAPE_BROKER={broker}", err=True)
        elif missing := [topic.name for topic in topics.describe(broker, settings) if not topic.exists]:
            raise BrokerError(f"{broker} has no topic {', '.join(missing)}: run `tickertape topics create`")
        supervisor = Supervisor(replace(settings, broker=broker), workers or cores(), _say)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.tell())
        with supervisor:
            supervisor.wait()


def _say(line: str) -> None:
    # Whoever read it may be gone; the workers are to go on.
    with suppress(OSError):
        click.echo(line, err=True)

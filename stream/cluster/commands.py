"""The commands ``tickertape worker`` and ``tickertape up``."""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from tickertape.schemas.control import workers_key
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.console.options import page_options
from tickertape.stream.errors import AccessError, BrokerError, TickertapeError
from tickertape.stream.telemetry import logs

if TYPE_CHECKING:
    from tickertape.stream.cluster.supervisor import Supervisor
    from tickertape.stream.kafka.admin.topics import TopicState

# How long to wait for a broker that accepts connections but doesn't answer: it may be starting.
HANGS_SECONDS = 60.0


@click.command()
@click.option(
    "--slot",
    help="The worker's name in its group, the same after a restart. Default: host name and process id, which stay the "
    "same in a container.",
    metavar="NAME",
)
@click.option("--supervised", is_flag=True, hidden=True, help="Stop at the end of standard input.")
@click.pass_obj
def worker(settings: Settings, slot: str | None, supervised: bool) -> None:
    """Run one worker until SIGTERM or Ctrl-C; it then drains, commits and exits within ten seconds."""
    from tickertape.stream.cluster.worker import run

    run(settings, slot or f"{socket.gethostname()}-{os.getpid()}", supervised=supervised)


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of workers. Default: the number last set by `scale`, else one per core.",
    metavar="N",
)
@page_options
@click.pass_obj
def up(settings: Settings, workers: int | None, page: bool, port: int | None, open_page: bool) -> None:
    """Run workers until SIGTERM or Ctrl-C, and restart any that ends; `tickertape scale` can change their number.

    The page with the results is at http://127.0.0.1:8080. If no broker is set, an embedded Kafka is started too, and
    its topics are created.
    """
    from msgspec.structs import replace

    from tickertape.stream.cluster.process_numbers import ProcessNumbers
    from tickertape.stream.cluster.supervisor import Supervisor, cores
    from tickertape.stream.console.beside import Beside, PageOptions
    from tickertape.stream.engine.define.discovery import discover
    from tickertape.stream.kafka.admin import topics
    from tickertape.stream.kafka.embedded.broker import broker_for

    with broker_for(settings) as broker:
        if not settings.broker:
            topics.create(replace(settings, broker=broker), discover(settings.agents).topics)
            click.echo(f"Kafka is up at {broker}; elsewhere: export TICKERTAPE_BROKER={broker}", err=True)
        elif missing := [topic.name for topic in _described(settings) if not topic.exists]:
            raise BrokerError(f"{broker} has no topic {', '.join(missing)}: run `tickertape topics create`")
        settings = replace(settings, broker=broker)
        # If the broker is away, the workers report it; aiokafka's lines about reading `control` would repeat that.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        asked = asyncio.run(_asked_for(settings))
        say = partial(_say_as, settings.log_format)
        supervisor = Supervisor(settings, workers or asked or cores(), say)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: supervisor.end())
        beside = Beside(settings, PageOptions(page, port, open_page), ProcessNumbers(supervisor), say)
        with supervisor.shown(), supervisor, beside, _following(settings, supervisor, asked):
            supervisor.wait()


def _described(settings: Settings) -> "list[TopicState]":
    """Describe the declared topics; wait for a broker that accepts connections but doesn't answer yet."""
    from tickertape.stream.engine.define.discovery import discover
    from tickertape.stream.kafka.admin import topics

    until, told = time.monotonic() + HANGS_SECONDS, False
    while True:
        try:
            return topics.describe(settings, discover(settings.agents).topics)
        except AccessError:
            raise
        except BrokerError as error:
            if time.monotonic() > until or not _accepts(settings.broker):
                raise
            if not told:
                _say(f"{error}; it accepts connections, so this waits up to {HANGS_SECONDS:g} s for it")
                told = True
            time.sleep(1)


def _accepts(broker: str) -> bool:
    """Return whether a server accepts connections at one of a broker's addresses."""
    for address in broker.split(","):
        host, _, port = address.strip().rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), timeout=2):
            return True
    return False


async def _asked_for(settings: Settings) -> int | None:
    from tickertape.stream.kafka.stores.control import Control

    async with Control(settings) as control:
        return control.workers(settings.group)


@contextmanager
def _following(settings: Settings, supervisor: "Supervisor", asked: int | None) -> Iterator[None]:
    """Make the supervisor follow the number of workers that `scale` sets; `asked` is the number known so far."""
    from tickertape.stream.kafka.stores.control import Control

    async def follow() -> None:
        async with Control(settings) as control:
            news = control.workers(settings.group) != asked
            while True:
                if news and (workers := control.workers(settings.group)) is not None:
                    supervisor.ask(workers)
                news = workers_key(settings.group) in await control.change()

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except TickertapeError as error:
            _say(f"{error}; `tickertape scale` no longer changes the number of workers here: restart `tickertape up`")
        except asyncio.CancelledError:
            pass

    loop = asyncio.new_event_loop()
    task = loop.create_task(follow())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def _say_as(form: logs.Format, line: str) -> None:
    """Print a line of a worker or of the supervisor."""
    _say(line if form == "text" or line.startswith("{") else logs.told(line, "up", form))


def _say(line: str) -> None:
    # The reader of standard error may be gone. The workers must go on.
    with suppress(OSError):
        click.echo(line, err=True)

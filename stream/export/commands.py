"""``tickertape export``: copy results to databases."""

import asyncio
import signal
from contextlib import suppress

import click

from tickertape.stream.configuration.settings import Settings


@click.group()
def export() -> None:
    """Copy results to PostgreSQL, ClickHouse, QuestDB or another database, each in its newest state."""


@export.command()
@click.argument("name")
@click.option("--once", is_flag=True, help="End when all that is on the topics now has been written.")
@click.option("--json", "as_json", is_flag=True, help="With --once, show progress as JSON, an object on each line.")
@click.pass_obj
def run(settings: Settings, name: str, once: bool, as_json: bool) -> None:
    """Copy results to the database NAME of the file that the setting `databases` names, until stopped.

    It goes on where it was stopped. Several processes may run for one database: they share the work.
    """
    from tickertape.stream.export.plan import chosen
    from tickertape.stream.export.run import run as copy
    from tickertape.stream.progress.shown import Progress
    from tickertape.stream.telemetry import logs
    from tickertape.stream.telemetry.registries import EXPORTING
    from tickertape.stream.telemetry.serving import PATH, served

    settings.the_broker()
    logs.set_up(settings.log_format)
    database = chosen(settings, name)
    progress = Progress.on_stderr(as_json=as_json)

    async def until_stopped() -> None:
        copying = asyncio.ensure_future(copy(settings, database, once=once, progress=progress))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, copying.cancel)
        with suppress(asyncio.CancelledError):
            click.echo(f"{name}: {await copying:,} rows", err=True)

    with served(settings, EXPORTING) as address:
        if address:
            click.echo(f"metrics: {address}{PATH}", err=True)
        asyncio.run(until_stopped())


@export.command()
@click.argument("name")
@click.pass_obj
def tables(settings: Settings, name: str) -> None:
    """Print the SQL that makes the tables for the database NAME. It needs neither Kafka nor the database."""
    from tickertape.stream.export.plan import chosen, exported

    database = chosen(settings, name)
    for statement in database.statements([table for _, table in exported(settings, database).values()]):
        click.echo(f"{statement};")

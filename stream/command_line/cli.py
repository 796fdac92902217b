"""The command ``tickertape``. To start fast, each subcommand imports heavy modules only when it runs."""

import os
import sys
from importlib.metadata import version

import click

from tickertape.stream.alerts.commands import alerts
from tickertape.stream.chaos.commands import chaos
from tickertape.stream.cluster.commands import up, worker
from tickertape.stream.command_line.commands import dashboards, doctor, metrics, schemas, settings
from tickertape.stream.command_line.new import new
from tickertape.stream.console.commands import console
from tickertape.stream.errors import ConfigError, TickertapeError
from tickertape.stream.export.commands import export
from tickertape.stream.feeds.backfill.commands import backfill
from tickertape.stream.feeds.commands import feed
from tickertape.stream.feeds.define.registry import load
from tickertape.stream.feeds.instruments.commands import instruments
from tickertape.stream.feeds.together.commands import check as feed_check
from tickertape.stream.feeds.together.commands import run as feed_run
from tickertape.stream.kafka.commands import kafka, reshard, scale, topics
from tickertape.stream.replay.commands import replay, verify
from tickertape.stream.sql.commands import sql
from tickertape.stream.terminal.commands import demo, tail
from tickertape.stream.top.commands import top

INTERRUPTED = 130
UNREAD = 141


def _print_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from tickertape.stream.compiled.library import path_taken

        click.echo(f"tickertape {version('tickertape')} ({path_taken()})")
        context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version, and whether the compiled hot path is on.",
)
@click.option("--broker", metavar="HOST:PORT", help="Kafka's address, in place of TICKERTAPE_BROKER.")
@click.option(
    "--agents",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    metavar="DIR",
    help="A folder with your own metrics, feeds or formats, in addition to the setting `agents`.",
)
@click.pass_context
def cli(context: click.Context, broker: str | None, agents: tuple[str, ...]) -> None:
    """Real-time market and social analytics on Kafka: exact rolling metrics at block speed.

    `tickertape settings` lists all settings, with their names in the environment.
    """
    try:
        context.obj = load(broker=broker, more_agents=agents)
    except ConfigError as error:
        # The message refers users to `tickertape settings`, so that command must run. It raises the error at its end.
        if context.invoked_subcommand != "settings":
            raise
        context.obj = error


for command in (
    alerts,
    backfill,
    chaos,
    console,
    dashboards,
    demo,
    doctor,
    export,
    feed,
    instruments,
    kafka,
    metrics,
    new,
    replay,
    reshard,
    scale,
    schemas,
    settings,
    sql,
    tail,
    top,
    topics,
    up,
    verify,
    worker,
):
    cli.add_command(command)
for command in (feed_check, feed_run):
    feed.add_command(command)


def main() -> None:
    """Run the command. An error that the user can fix is one line on standard error, with the error's exit code."""
    try:
        sys.exit(cli.main(prog_name="tickertape", standalone_mode=False) or 0)
    except TickertapeError as error:
        click.echo(f"tickertape: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of the output, such as `head`, has closed it. Without this, Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)

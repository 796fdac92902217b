"""``tickertape replay`` and ``tickertape verify``."""

import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from tickertape.schemas.topics import TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, LawBroken
from tickertape.stream.feeds.options import source_name

_processes = click.option("--processes", type=click.IntRange(1), metavar="N", help="How many work at it; one a core.")


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(path_type=Path))
@click.option("--topic", metavar="NAME", help="In place of files: all that a topic retains.")
@click.option("--format", "kind", default="binance", show_default=True, metavar="FORMAT", help="Of the files.")
@click.option("--sort", is_flag=True, help="Sort by event time first, all in memory: for files that are out of order.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Made if it isn't there.",
)
@_processes
@click.option(
    "--partitions",
    type=click.IntRange(1),
    metavar="P",
    help="Over how many a feed would spread files; by default as set.",
)
@source_name
@click.pass_obj
def replay(
    settings: Settings,
    paths: tuple[Path, ...],
    topic: str | None,
    kind: str,
    sort: bool,
    out: Path,
    processes: int | None,
    partitions: int | None,
    source: str | None,
) -> None:
    """Compute from recorded files, or from what a topic retains, what the workers compute, and write it as Parquet.

    A file a sink, DIR/bars.parquet, with the final results, and what was late or rejected beside it. The same input
    gives the same bytes, whatever the number of processes. Files need no Kafka.

    Formats are those of `feed file`.
    """
    from rich.console import Console

    from tickertape.stream.cluster.supervisor import cores
    from tickertape.stream.feeds.define.registry import format_named, formats
    from tickertape.stream.replay import run

    if bool(paths) == bool(topic):
        raise ConfigError("name files, or a topic with --topic, and not both")
    format_named(kind, settings.agents)
    if topic and (sort or source):
        raise ConfigError("--sort and --source are for files; what a topic has stays as it is")
    if topic and partitions:
        raise ConfigError("--partitions is for files; a topic has those that it has")
    if topic:
        settings.the_broker()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    console = Console(stderr=True)
    with _folder(out) as made:
        folder = Path(made)
        if topic:
            outcome = asyncio.run(run.of_topic(settings, topic, processes or cores(), folder, console))
        else:
            recorded = run.Files(paths, kind, partitions, sort, source)
            outcome = asyncio.run(run.of_files(settings, recorded, processes or cores(), folder, console))
        written = run.write(outcome, folder, out)
    click.echo(str(outcome))
    for line in written:
        click.echo(line)
    if outcome.lines is not None:
        outcome.lines.must_be_read(kind, formats(settings.agents))


@click.command()
@click.option("--topic", default=TRADES.name, show_default=True, metavar="NAME", help="What the results are made from.")
@_processes
@click.pass_obj
def verify(settings: Settings, topic: str, processes: int | None) -> None:
    """Replay what a topic retains, and compare it with the final results on the sinks, to the last bit.

    Exits 6 where they differ. The settings must be those of the workers.
    """
    from rich.console import Console

    from tickertape.stream.cluster.supervisor import cores
    from tickertape.stream.replay import verify

    settings.the_broker()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with TemporaryDirectory(prefix="tickertape-verify-") as folder:
        compared = asyncio.run(verify.verify(settings, topic, processes or cores(), Path(folder), Console(stderr=True)))
    for one in compared:
        click.echo(str(one))
    if differences := [difference for one in compared for difference in one.differences]:
        raise LawBroken(
            f"{differences[0]}" + (f"; and {len(differences) - 1:,} more differ" if len(differences) > 1 else "")
        )


def _folder(out: Path) -> "TemporaryDirectory[str]":
    try:
        out.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=".replay-", dir=out)
    except OSError as error:
        raise ConfigError(f"--out {out}: {error.strerror or error}") from None

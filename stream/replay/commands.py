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
from tickertape.stream.progress import options

_processes = click.option(
    "--processes", type=click.IntRange(1), metavar="N", help="Number of processes; by default one per core."
)


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]", type=click.Path(path_type=Path))
@click.option("--topic", metavar="NAME", help="Replay this topic's retained records, not files.")
@click.option("--format", "kind", default="binance", show_default=True, metavar="FORMAT", help="Format of the files.")
@click.option("--sort", is_flag=True, help="Sort by event time first, in memory: for unordered files.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder for the tables; created if missing.",
)
@_processes
@click.option(
    "--partitions",
    type=click.IntRange(1),
    metavar="P",
    help="Number of partitions over which a feed would spread the files; by default as set for each topic.",
)
@source_name
@options.as_json
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
    as_json: bool,
) -> None:
    """Compute the workers' results from recorded files, or from a topic's retained records, and write them as Parquet.

    Each output becomes a file of final results, for example DIR/bars.parquet. Late and rejected records are written
    beside them. The same input gives the same bytes, whatever the number of processes. Replaying files needs no Kafka.

    The formats are those of `feed file`.
    """
    from tickertape.stream.cluster.supervisor import cores
    from tickertape.stream.feeds.define.registry import format_named, formats
    from tickertape.stream.progress.shown import Progress
    from tickertape.stream.replay import run

    if bool(paths) == bool(topic):
        raise ConfigError("name either files or, with --topic, a topic")
    format_named(kind, settings.agents)
    if topic and (sort or source):
        raise ConfigError("--sort and --source are for files; a topic's records are replayed as they are")
    if topic and partitions:
        raise ConfigError("--partitions is for files; a topic keeps its own partitions")
    if topic:
        settings.the_broker()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    progress = Progress.on_stderr(as_json=as_json)
    with _folder(out) as made:
        folder = Path(made)
        if topic:
            outcome = asyncio.run(run.of_topic(settings, topic, processes or cores(), folder, progress))
        else:
            recorded = run.Files(paths, kind, partitions, sort, source)
            outcome = asyncio.run(run.of_files(settings, recorded, processes or cores(), folder, progress))
        written = run.write(outcome, folder, out)
    click.echo(str(outcome))
    for line in written:
        click.echo(line)
    if outcome.lines is not None:
        outcome.lines.must_be_read(kind, formats(settings.agents))


@click.command()
@click.option("--topic", default=TRADES.name, show_default=True, metavar="NAME", help="Input topic of the results.")
@_processes
@options.as_json
@click.pass_obj
def verify(settings: Settings, topic: str, processes: int | None, as_json: bool) -> None:
    """Replay a topic's retained records, and compare the outcome bit by bit with the final results on the sinks.

    The exit code is 6 if they differ. The settings must be the same as the workers'.
    """
    from tickertape.stream.cluster.supervisor import cores
    from tickertape.stream.progress.shown import Progress
    from tickertape.stream.replay import verify

    settings.the_broker()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with TemporaryDirectory(prefix="tickertape-verify-") as folder:
        progress = Progress.on_stderr(as_json=as_json)
        compared = asyncio.run(verify.verify(settings, topic, processes or cores(), Path(folder), progress))
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

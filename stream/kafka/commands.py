"""``tickertape kafka``, ``tickertape topics``, ``tickertape scale`` and ``tickertape reshard``."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from tickertape.schemas.frame import Tallies
from tickertape.schemas.topics import SLICES, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError, EmbeddedKafkaError, LawBroken
from tickertape.stream.progress import options


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for its data, which is kept. Default: a temporary folder, which is removed at the end.",
)
@click.option("--port", type=click.IntRange(1, 65_535), help="The port on 127.0.0.1. Default: a free port.")
def kafka(data: Path | None, port: int | None) -> None:
    """Run a Kafka of your own until Ctrl-C, and print its address.

    It is a real Apache Kafka with a single node, and needs neither Docker nor Java. The first start downloads it
    (43 MB).
    """
    from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

    with EmbeddedKafka(data, port=port or 0) as embedded:
        click.echo(embedded.broker)
        click.echo(f"Kafka is up, with its data in {embedded.data}", err=True)
        click.echo(f"in other terminals: export TICKERTAPE_BROKER={embedded.broker}", err=True)
        embedded.wait()
        raise EmbeddedKafkaError("Kafka has ended by itself" + ("" if data is None else f": see {data}/kafka.log"))


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every partition.")
@click.pass_context
def topics(context: click.Context, as_json: bool) -> None:
    """List the topics: partitions, retention, clean-up, key, and lag, the number of records still to be read."""
    if context.invoked_subcommand:
        return
    from tickertape.stream.kafka.admin.topics import describe

    settings: Settings = context.obj
    settings.the_broker()
    states = describe(settings, _topics(settings))
    if as_json:
        _print_json(states)
        return
    rows = (
        [
            state.name,
            len(state.partitions) if state.exists else "none yet",
            _duration(state.retention_ms),
            state.cleanup,
            state.key,
            state.lag,
        ]
        for state in states
    )
    _print_table("", ["topic", "partitions", "kept", "clean-up", "key", "lag"], rows)


@topics.command()
@click.pass_obj
def create(settings: Settings) -> None:
    """Create the topics that are missing, and report how the configs of existing ones differ from the declared ones."""
    from tickertape.stream.kafka.admin.drift import differences
    from tickertape.stream.kafka.admin.topics import create, describe

    settings.the_broker()
    declared = _topics(settings)
    created = create(settings, declared)
    states = describe(settings, declared)
    for state in states:
        click.echo(f"{state.name}: {len(state.partitions)} partitions{', new' if state.name in created else ''}")
    for one in differences(states, declared):
        click.echo(f"{one}; set it with `tickertape topics check --mend`", err=True)


@topics.command()
@click.option("--mend", is_flag=True, help="Set the configs that differ to the declared values.")
@click.pass_obj
def check(settings: Settings, mend: bool) -> None:
    """Compare the topics' configs with the declared ones: clean-up, retention, timestamps and record size.

    Exits with 6 if a config differs or a topic is missing.
    """
    from tickertape.stream.kafka.admin import drift
    from tickertape.stream.kafka.admin.topics import describe

    settings.the_broker()
    declared = _topics(settings)
    states = describe(settings, declared)
    found = drift.differences(states, declared)
    for one in found:
        click.echo(str(one))
    if mend:
        drift.mend(settings, found)
        click.echo(f"{len(found)} configs were set to the declared values")
        return
    missing = [state.name for state in states if not state.exists]
    for name in missing:
        click.echo(f"{name}: the topic is missing; create it with `tickertape topics create`")
    if found or missing:
        raise LawBroken(
            f"{len({one.topic for one in found}) + len(missing)} topics are missing or differ; set the configs of "
            "existing ones with `tickertape topics check --mend`, or a single config with:\n"
            "  kafka-configs.sh --bootstrap-server BROKER --alter --entity-type topics --entity-name TOPIC "
            "--add-config NAME=VALUE"
        )
    click.echo(f"all {len(states)} topics exist, with the declared configs")


@topics.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(settings: Settings, name: str, as_json: bool) -> None:
    """Show each partition of a topic: start and end of its log, offset read, lag, and number of records by outcome."""
    from tickertape.stream.kafka.admin.topics import describe

    topic = _topic(settings, name)
    settings.the_broker()
    (state,) = describe(settings, [topic])
    if as_json:
        _print_json(state)
        return
    tallied = [p.tallies for p in state.partitions if p.tallies]
    # A column of zeros would only take up width.
    kinds = [kind for kind in Tallies.__struct_fields__ if any(tallies[kind] for tallies in tallied)]
    rows = (
        [p.partition, p.start, p.end, p.upto, p.lag, *((p.tallies or {}).get(kind) for kind in kinds)]
        for p in state.partitions
    )
    _print_table(f"{name}: {state.holds}", ["partition", "start", "end", "upto", "lag", *kinds], rows)


@click.command()
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(1), required=True, metavar="N", help="The new number of partitions.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="The new number of workers of each `tickertape up` in the group.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the outcome as JSON, and progress to standard error, as lines of JSON.",
)
@click.pass_obj
def scale(settings: Settings, topic: str, partitions: int, workers: int | None, as_json: bool) -> None:
    """Give a topic more partitions while feeds and workers run, and have feeds use them.

    Nothing is restarted, lost or counted twice. Feeds use the new partitions from an event time on that is a few
    seconds ahead. If the command is interrupted, run it again: it continues.
    """
    from tickertape.stream.cluster.scale import run
    from tickertape.stream.progress.shown import Progress

    settings.the_broker()
    progress = Progress.on_stderr(as_json=as_json)
    report = run(settings, topic, partitions, workers, progress.say if as_json else click.echo, progress)
    if as_json:
        _print_json(report)


@click.command()
@click.argument("topic", type=click.Choice([SLICES.name]), expose_value=False)
@click.option("--shards", type=click.IntRange(1), required=True, help="The new number of shards.", metavar="N")
@options.as_json
@click.pass_obj
def reshard(settings: Settings, shards: int, as_json: bool) -> None:
    """Change the number of shards of the second stage, which is the most workers that can share its work.

    The workers of each `tickertape up` drain and stop, the frames of open windows are split among the new shards, and
    the workers start again. Feeds keep running, and their records wait. If the command is interrupted, run it again: it
    continues.
    """
    from tickertape.stream.cluster.reshard import run
    from tickertape.stream.progress.shown import Progress

    settings.the_broker()
    progress = Progress.on_stderr(as_json=as_json)
    run(settings, shards, progress.say if as_json else click.echo, progress)


def _topics(settings: Settings) -> tuple[Topic, ...]:
    """Return the topics of the catalogue, and those that agents declare."""
    from tickertape.stream.engine.define.discovery import discover

    return discover(settings.agents).topics


def _topic(settings: Settings, name: str) -> Topic:
    topics = {topic.name: topic for topic in _topics(settings)}
    if name not in topics:
        raise ConfigError(f"unknown topic {name}; the topics are {', '.join(topics)}")
    return topics[name]


def _print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)))


def _print_table(title: str, columns: list[str], rows: Iterable[Sequence[int | str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    cells = [["-" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    for number, column in enumerate(columns):
        words = any(cells) and not all(row[number].replace(",", "").isdecimal() for row in cells)
        table.add_column(column, justify="left" if words else "right")
    for row in cells:
        table.add_row(*row)
    Console().print(table)


def _duration(ms: int) -> str:
    if ms < 0:
        return "for ever"
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if ms >= size_ms and ms % size_ms == 0:
            return f"{ms // size_ms} {unit}"
    return f"{ms} ms"

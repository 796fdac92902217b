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


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="A folder to keep; else a temporary one."
)
@click.option("--port", type=click.IntRange(1, 65_535), help="Where it listens on 127.0.0.1; else a free port.")
def kafka(data: Path | None, port: int | None) -> None:
    """Run a Kafka of your own until Ctrl-C, and print its address.

    It is a real single-node Apache Kafka, and needs neither Docker nor Java; its first start fetches it (43 MB).
    """
    from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

    with EmbeddedKafka(data, port=port or 0) as embedded:
        click.echo(embedded.broker)
        click.echo(f"up, in {embedded.data}; elsewhere: export TICKERTAPE_BROKER={embedded.broker}", err=True)
        embedded.wait()
        raise EmbeddedKafkaError(
            "Kafka ended, and not by our doing" + ("" if data is None else f": see {data}/kafka.log")
        )


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every partition.")
@click.pass_context
def topics(context: click.Context, as_json: bool) -> None:
    """List the topics: partitions, how long records are kept, key, and by how many records reading lags."""
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
    """Create the topics that don't exist yet; of those that do it says how they differ from the catalogue."""
    from tickertape.stream.kafka.admin.drift import differences
    from tickertape.stream.kafka.admin.topics import create, describe

    settings.the_broker()
    declared = _topics(settings)
    created = create(settings, declared)
    states = describe(settings, declared)
    for state in states:
        click.echo(f"{state.name}: {len(state.partitions)} partitions{', new' if state.name in created else ''}")
    for one in differences(states, declared):
        click.echo(f"{one}; `tickertape topics check --mend` mends it", err=True)


@topics.command()
@click.option("--mend", is_flag=True, help="Give them the catalogue's configs.")
@click.pass_obj
def check(settings: Settings, mend: bool) -> None:
    """Compare the topics with the catalogue: clean-up, retention, timestamps, sizes. Exits 6 where one differs."""
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
        click.echo(f"mended: {len(found)}")
        return
    missing = [state.name for state in states if not state.exists]
    for name in missing:
        click.echo(f"{name}: there is none; `tickertape topics create` creates it")
    if found or missing:
        raise LawBroken(
            f"{len({one.topic for one in found}) + len(missing)} topics are not as the catalogue has them; "
            "`tickertape topics check --mend` mends those that are there, or, of one config:\n"
            "  kafka-configs.sh --bootstrap-server BROKER --alter --entity-type topics --entity-name TOPIC "
            "--add-config NAME=VALUE"
        )
    click.echo(f"all {len(states)} topics are as the catalogue has them")


@topics.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show(settings: Settings, name: str, as_json: bool) -> None:
    """Show a topic by partition: where its log starts and ends, how far it is read, and what became of its records."""
    from tickertape.stream.kafka.admin.topics import describe

    topic = _topic(settings, name)
    settings.the_broker()
    (state,) = describe(settings, [topic])
    if as_json:
        _print_json(state)
        return
    tallied = [p.tallies for p in state.partitions if p.tallies]
    # One that is zero everywhere would only cost width.
    kinds = [kind for kind in Tallies.__struct_fields__ if any(tallies[kind] for tallies in tallied)]
    rows = (
        [p.partition, p.start, p.end, p.upto, p.lag, *((p.tallies or {}).get(kind) for kind in kinds)]
        for p in state.partitions
    )
    _print_table(f"{name}: {state.holds}", ["partition", "start", "end", "upto", "lag", *kinds], rows)


@click.command()
@click.argument("topic")
@click.option("--partitions", type=click.IntRange(1), required=True, metavar="N", help="How many it is to have.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="How many each `tickertape up` of the group is to run.",
)
@click.option("--json", "as_json", is_flag=True, help="What came of it as JSON; the lines go to standard error.")
@click.pass_obj
def scale(settings: Settings, topic: str, partitions: int, workers: int | None, as_json: bool) -> None:
    """Give a topic more partitions while feeds and workers run, and have feeds use them.

    Nothing is restarted, nothing is lost and nothing counted twice: feeds use the new partitions from an event time on
    that is a few seconds ahead. Run again after it was interrupted, it goes on where it was.
    """
    from tickertape.stream.cluster.scale import run

    settings.the_broker()
    report = run(settings, topic, partitions, workers, lambda line: click.echo(line, err=as_json))
    if as_json:
        _print_json(report)


@click.command()
@click.argument("topic", type=click.Choice([SLICES.name]), expose_value=False)
@click.option("--shards", type=click.IntRange(1), required=True, help="How many it is to have.", metavar="N")
@click.pass_obj
def reshard(settings: Settings, shards: int) -> None:
    """Give the second stage another number of shards, more or fewer: the most workers that can share it.

    The workers of each `tickertape up` drain and stop for it, what open windows need is carried over, and they start
    again; feeds go on, and what they send waits. Run again after it was interrupted, it finishes what it began.
    """
    from tickertape.stream.cluster.reshard import run

    settings.the_broker()
    run(settings, shards, click.echo)


def _topics(settings: Settings) -> tuple[Topic, ...]:
    """Return the catalogue's topics and those that agents declare."""
    from tickertape.stream.engine.define.discovery import discover

    return discover(settings.agents).topics


def _topic(settings: Settings, name: str) -> Topic:
    topics = {topic.name: topic for topic in _topics(settings)}
    if name not in topics:
        raise ConfigError(f"{name}: no such topic; there are {', '.join(topics)}")
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

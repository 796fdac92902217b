"""The commands ``tickertape settings``, ``schemas``, ``dashboards``, ``metrics`` and ``doctor``."""

import re
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.meanings import meanings
from tickertape.stream.configuration.settings import PREFIX, TABLES, Settings
from tickertape.stream.errors import ConfigError, LawBroken

if TYPE_CHECKING:
    from tickertape.stream.engine.define.discovery import Agents
    from tickertape.stream.telemetry.declared import Declared

WIDTH = 100
# The folders that Grafana and Prometheus read.
MONITORING = ("grafana/dashboards", "grafana/provisioning", "prometheus")


@click.command()
@click.option("--example", is_flag=True, help="Print a `tickertape.toml` with every setting at its default.")
@click.pass_obj
def settings(found: Settings | ConfigError, example: bool) -> None:
    """Print each setting: its value, its default, its name in the environment and its meaning."""
    default = Settings()
    if example:
        click.echo(example_file(found.agents if isinstance(found, Settings) else default.agents), nl=False)
        return
    now = found if isinstance(found, Settings) else default
    meaning = meanings(Settings)
    for name in Settings.__struct_fields__:
        usual = getattr(default, name)
        variable = PREFIX + name.upper() + (f"_<{TABLES[name]}>" if name in TABLES else "")
        click.secho(f"{name} = {_text(getattr(now, name))}", bold=True, nl=False)
        click.echo(f"  (default {_text(usual)}; {variable})")
        click.echo(click.wrap_text(meaning[name], WIDTH, initial_indent="    ", subsequent_indent="    "))
    if isinstance(found, ConfigError):
        raise found
    _print_feeds(found)


def example_file(places: Sequence[str]) -> str:
    """Return the text of a settings' file: the meaning of every setting, and its default, commented out.

    Parameters
    ----------
    places
        The packages and folders in which feeds are found: the setting ``agents``.
    """
    from tickertape.stream.feeds.define.registry import feeds

    default = Settings()
    lines = ["## This file is read from the folder that a command runs in, or from the path in TICKERTAPE_CONFIG."]
    lines += ["## The environment overrides it. A line with one # is a setting at its default."]
    tables: list[str] = []
    for name, meaning in meanings(Settings).items():
        if name == "feeds":
            continue
        value = getattr(default, name)
        # Tables come last, because in TOML all lines below a table's heading belong to it.
        into = tables if isinstance(value, dict) else lines
        into += ["", *_comment(meaning)]
        if isinstance(value, dict):
            into += [f"# [{name}]", *(f"# {key} = {_toml(entry)}" for key, entry in value.items())]
        else:
            into.append(f"# {name} = {_toml(value)}")
    for feed in feeds(places).values():
        meaning_of, own = meanings(feed.settings), feed.settings()
        for name in feed.settings.__struct_fields__:
            lines += ["", *_comment(meaning_of.get(name, "")), f"# {feed.name}_{name} = {_toml(getattr(own, name))}"]
    return "\n".join([*lines, *tables, ""])


def _comment(text: str) -> list[str]:
    return [f"## {line}" for line in textwrap.wrap(text, WIDTH)]


def _toml(value: Any) -> str:
    if isinstance(value, Secret):
        value = value.reveal()
    # Strings, numbers, lists and booleans are written alike in JSON and TOML.
    return msgspec.json.encode(value).decode()


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
@click.pass_obj
def schemas(settings: Settings, out: Path) -> None:
    """Write the JSON Schema of each topic's records, one file per topic, for programs in other languages."""
    from tickertape.stream.engine.define.discovery import configured

    out.mkdir(parents=True, exist_ok=True)
    for topic, records in records_of(configured(settings), settings).items():
        path = out / f"{topic}.json"
        some, defs = msgspec.json.schema_components(records, ref_template="#/$defs/{name}")
        whole = {**(some[0] if len(records) == 1 else {"anyOf": list(some)}), "$defs": defs}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
        click.echo(f"{path}: {', '.join(record.__name__ for record in records)}")


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def dashboards(out: Path) -> None:
    """Write the Grafana dashboards and the Prometheus alerts to a folder, for your own installations."""
    for name in MONITORING:
        with as_file(files("tickertape").joinpath(name)) as folder:
            shutil.copytree(folder, out / name, dirs_exist_ok=True)
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        click.echo(str(path))


def records_of(agents: "Agents", settings: Settings) -> dict[str, list[Any]]:
    """Return the Structs of each topic's records, for the topics whose records are JSON."""
    from tickertape.schemas.alert import Due, Position, Sending, Sent, Skipped
    from tickertape.schemas.events import TOPICS
    from tickertape.schemas.instrument import Instrument
    from tickertape.schemas.refused import DeadLetter, Late, LateSlice
    from tickertape.schemas.topics import ALERTS, DEAD_LETTERS, INSTRUMENTS, LATE
    from tickertape.stream.results.described import described_outputs

    found: dict[str, list[Any]] = {topic.name: [kind] for kind, topic in TOPICS.items()}
    found |= {slicing.topic.name: [slicing.record] for slicing in agents.slicings}
    for output in described_outputs(agents, settings):
        found.setdefault(output.sink, []).append(output.result)
    found[ALERTS.name] = [Due, Sending, Sent, Skipped, Position]
    found[INSTRUMENTS.name] = [Instrument]
    return found | {LATE.name: [Late, LateSlice], DEAD_LETTERS.name: [DeadLetter]}


def _print_feeds(settings: Settings) -> None:
    from tickertape.stream.feeds.define.registry import feeds, settings_of

    for feed in feeds(settings.agents).values():
        meaning, now, default = meanings(feed.settings), settings_of(feed, settings.feeds), feed.settings()
        for name in feed.settings.__struct_fields__:
            whole = f"{feed.name}_{name}"
            click.secho(f"{whole} = {_text(getattr(now, name))}", bold=True, nl=False)
            click.echo(f"  (default {_text(getattr(default, name))}; {PREFIX}{whole.upper()}; of `feed {feed.name}`)")
            click.echo(click.wrap_text(meaning.get(name, ""), WIDTH, initial_indent="    ", subsequent_indent="    "))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {entry}" for name, entry in value.items()) or "not set"
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or "not set"


_INTRODUCTION = """\
# Monitoring metrics

Each process serves these metrics for Prometheus at `/metrics`. The settings `metrics_host` and `metrics_port` give the
address. Every process also serves `process_…` and `python_…`, the standard metrics of Prometheus' client for Python.

What you compute from market data, such as an indicator, is a metric in another sense: its results are on a topic.
See the [README](../README.md). The command `tickertape metrics` prints this page."""


@click.command()
@click.pass_obj
def metrics(settings: Settings) -> None:
    """Print every metric for Prometheus as Markdown: its name, type, unit, labels and meaning."""
    from tickertape.stream.telemetry.declared import declared

    click.echo(_INTRODUCTION)
    titles = {
        "worker": "Workers",
        "feed": "Feeds",
        "supervisor": "The supervisor, `tickertape up`",
        "alerts": "Alerts, `tickertape alerts run`",
        "export": "Copies in databases, `tickertape export run`",
    }
    for kind, title in titles.items():
        _print_section(title, declared(kind))
    widths = ", ".join(f"`{width}`" for width in settings.rolling_ms)
    _print_section(
        "Newest results, served by workers",
        _results(settings),
        "For each symbol in the setting `watch`, a worker serves every number of its newest results. In a name, "
        f"`<width>` stands for each width of the setting `rolling_ms`: {widths}.",
    )


def _results(settings: Settings) -> Iterator["Declared"]:
    from tickertape.stream.engine.define.discovery import configured
    from tickertape.stream.engine.worker.watchlist import IDENTITY, gauge_name, shown
    from tickertape.stream.results.described import SHARED_MEANINGS, described_outputs
    from tickertape.stream.telemetry.declared import Declared

    for output in sorted(described_outputs(configured(settings), settings), key=lambda output: output.name):
        sink, kind, result = output.sink, output.kind, output.result
        meaning = SHARED_MEANINGS | meanings(result)
        fields = {field.name: field.type for field in msgspec.structs.fields(result)}
        labels = *(name for name in IDENTITY if name in fields), *([f'kind="{kind}"'] if kind else [])
        names = set()
        for field, sort in fields.items():
            if shown(field, sort):
                name, _ = gauge_name(sink, field)
                stem, _, width = field.rpartition("_")
                # A metric with several widths is described once, under the name without the width.
                if width in settings.rolling_ms and field not in meaning:
                    name = f"{name.removesuffix(width)}<width>"
                if name not in names:
                    names.add(name)
                    text = re.sub(r" \[\d+\]_", "", meaning.get(field) or meaning.get(stem, ""))
                    yield Declared(name, "gauge", "seconds" if field.endswith("_ms") else "", labels, text)


def _print_section(title: str, rows: Iterable["Declared"], introduction: str = "") -> None:
    click.echo(f"\n## {title}\n")
    if introduction:
        click.echo(f"{introduction}\n")
    click.echo("| name | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |")
    for name, sort, unit, labels, meaning in rows:
        click.echo(f"| `{name}` | {sort} | {unit} | {', '.join(labels)} | {meaning} |")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(settings: Settings, as_json: bool) -> None:
    """Check Python, memory, disk, settings and Kafka, and say how to fix problems. Exits with 6 if there are any."""
    from tickertape.stream.command_line.doctor import examine

    found = []
    for finding in examine(settings):
        found.append(finding)
        if not as_json:
            click.echo(str(finding))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    if wrong := sum(finding.state == "wrong" for finding in found):
        raise LawBroken(f"{wrong} of {len(found)} checks failed: see the lines above")

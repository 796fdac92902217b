"""``tickertape new``: write a metric, feed or format to start from, with its test, and add its folder to `agents`."""

import keyword
import re
from importlib.resources import files
from pathlib import Path

import click

from tickertape.stream.configuration.settings import USUAL_FILE, Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import is_folder
from tickertape.stream.feeds.define.registry import load

# The folder of each kind of file, next to the settings' file.
FOLDERS = {"metric": "metrics", "feed": "feeds", "format": "formats"}
THEN = {
    "metric": "tickertape demo",
    "feed": "tickertape feed {name} BTC-USD",
    "format": "tickertape feed file --format {name} PATH",
}


@click.group()
def new() -> None:
    """Write a metric, feed or format to start from, with its test."""


@new.command("metric")
@click.argument("name")
def new_metric(name: str) -> None:
    """Write a metric and its test into the folder `metrics`.

    Every command that runs in the current folder then finds the metric through `tickertape.toml`.
    """
    write("metric", name)


@new.command("feed")
@click.argument("name")
def new_feed(name: str) -> None:
    """Write a live feed and its test into the folder `feeds`. `tickertape feed NAME` runs it."""
    write("feed", name)


@new.command("format")
@click.argument("name")
def new_format(name: str) -> None:
    """Write a file format and its test into the folder `formats`. `feed file` and `replay` read such files."""
    write("format", name)


def write(kind: str, name: str) -> None:
    """Write the files of a kind, and add their folder to the settings.

    Raises
    ------
    ConfigError
        The name isn't valid, or a file of that name exists.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} is not a valid name: a name starts with a lower-case letter, has at most 40 lower-case letters, "
            "digits and underscores, and is no Python keyword; for example spread_ratio"
        )
    folder = Path(FOLDERS[kind])
    words = name.replace("_", " ")
    filled = {
        "name": name,
        "words": words[0].upper() + words[1:],
        "dashed": name.replace("_", "-"),
        "Class": words.title().replace(" ", ""),
        "CONSTANT": name.upper(),
    }
    made = {
        folder / f"{name}.py": f"{kind}.py.txt",
        folder / f"test_{name}.py": f"test_{kind}.py.txt",
    }
    for path in made:
        if path.exists():
            raise ConfigError(f"{path} exists already: give the {kind} another name")
    folder.mkdir(exist_ok=True)
    for path, template in made.items():
        path.write_text(files("tickertape.stream.templates").joinpath(template).read_text().format(**filled))
        click.echo(f"wrote {path}")
    _add_to_agents(folder)
    click.echo(f"test it with: pytest {folder / f'test_{name}.py'}; run it with: {THEN[kind].format(name=name)}")


def _add_to_agents(folder: Path) -> None:
    """Add a folder to the setting `agents`, unless it is there already."""
    file = Path(USUAL_FILE)
    if any(is_folder(place) and Path(place).resolve() == folder.resolve() for place in load().agents):
        return
    if not file.exists():
        places = ", ".join(f'"{place}"' for place in (*Settings().agents, f"./{folder}"))
        file.write_text(f"# `tickertape settings` lists all settings.\nagents = [{places}]\n")
        click.echo(f"wrote {file}")
        return
    text = file.read_text()
    if found := re.search(r"^agents *= *\[([^\]]*)\]", text, re.MULTILINE):
        some = f"{found[1].rstrip().rstrip(',')}, " if found[1].strip() else ""
        text = f'{text[: found.start(1)]}{some}"./{folder}"{text[found.end(1) :]}'
    else:
        places = ", ".join(f'"{place}"' for place in (*Settings().agents, f"./{folder}"))
        # At the top, above any table.
        text = f"agents = [{places}]\n{text}"
    file.write_text(text)
    click.echo(f"added ./{folder} to `agents` in {file}")

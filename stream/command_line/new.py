"""``tickertape new``: a file to start from, its test, and the settings that have it found."""

import keyword
import re
from importlib.resources import files
from pathlib import Path

import click

from tickertape.stream.configuration.settings import USUAL_FILE, Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import is_folder
from tickertape.stream.feeds.define.registry import load

# Where each kind of file goes, beside the settings' file.
FOLDERS = {"metric": "metrics", "feed": "feeds", "format": "formats"}
THEN = {
    "metric": "tickertape demo",
    "feed": "tickertape feed {name} BTC-USD",
    "format": "tickertape feed file --format {name} PATH",
}


@click.group()
def new() -> None:
    """Write a file to start from, with its test, into the folder that you are in."""


@new.command("metric")
@click.argument("name")
def new_metric(name: str) -> None:
    """Write a metric: a file in `metrics`, and its test beside it.

    It is found by every command that is run in this folder, by way of `tickertape.toml`.
    """
    write("metric", name)


@new.command("feed")
@click.argument("name")
def new_feed(name: str) -> None:
    """Write a live feed: a file in `feeds`, and its test beside it. `tickertape feed NAME` runs it."""
    write("feed", name)


@new.command("format")
@click.argument("name")
def new_format(name: str) -> None:
    """Write a format of files: a file in `formats`, and its test beside it. `feed file` and `replay` read it."""
    write("format", name)


def write(kind: str, name: str) -> None:
    """Write the files of a kind, and see that the settings name their folder.

    Raises
    ------
    ConfigError
        It is no name for a module; or a file of that name is there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name):
        raise ConfigError(f"{name}: a name has small letters, digits and underscores, as in spread_ratio")
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
            raise ConfigError(f"{path}: it is there already; give the {kind} another name")
    folder.mkdir(exist_ok=True)
    for path, template in made.items():
        path.write_text(files("tickertape.stream.templates").joinpath(template).read_text().format(**filled))
        click.echo(f"wrote {path}")
    _have_found(folder)
    click.echo(f"try it: pytest {folder / f'test_{name}.py'}; then: {THEN[kind].format(name=name)}")


def _have_found(folder: Path) -> None:
    """Add a folder to the setting `agents`, where it isn't there yet."""
    file = Path(USUAL_FILE)
    if any(is_folder(place) and Path(place).resolve() == folder.resolve() for place in load().agents):
        return
    if not file.exists():
        places = ", ".join(f'"{place}"' for place in (*Settings().agents, f"./{folder}"))
        file.write_text(f"# What can be set: `tickertape settings`\nagents = [{places}]\n")
        click.echo(f"wrote {file}")
        return
    text = file.read_text()
    if found := re.search(r"^agents *= *\[([^\]]*)\]", text, re.MULTILINE):
        some = f"{found[1].rstrip().rstrip(',')}, " if found[1].strip() else ""
        text = f'{text[: found.start(1)]}{some}"./{folder}"{text[found.end(1) :]}'
    else:
        places = ", ".join(f'"{place}"' for place in (*Settings().agents, f"./{folder}"))
        # Above any table.
        text = f"agents = [{places}]\n{text}"
    file.write_text(text)
    click.echo(f"added ./{folder} to `agents` in {file}")

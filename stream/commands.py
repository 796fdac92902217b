"""``tickertape settings``: every setting, in the words of ``Settings``."""

import inspect
import re
from typing import Any

import click

from stream.errors import ConfigError
from stream.settings import BY_TOPIC, PREFIX, Settings

WIDTH = 100


@click.command()
@click.pass_obj
def settings(found: Settings | ConfigError) -> None:
    """Print each setting: its value, its default, its name in the environment and what it means."""
    default = Settings()
    now = found if isinstance(found, Settings) else default
    meaning = meanings()
    for name in Settings.__struct_fields__:
        usual = getattr(default, name)
        variable = PREFIX + name.upper() + ("_<TOPIC>" if name in BY_TOPIC else "")
        click.secho(f"{name} = {_text(getattr(now, name))}", bold=True, nl=False)
        click.echo(f"  (default {_text(usual)}; {variable})")
        click.echo(click.wrap_text(meaning[name], WIDTH, initial_indent="    ", subsequent_indent="    "))
    if isinstance(found, ConfigError):
        raise found


def meanings() -> dict[str, str]:
    """Return what each setting means, by its name: the words of the docstring of ``Settings``."""
    attributes = inspect.cleandoc(Settings.__doc__ or "").partition("Attributes\n----------\n")[2]
    found = {}
    for names, text in re.findall(r"^(\w.*)\n((?: .*\n?)+)", attributes, re.MULTILINE):
        for name in names.split(", "):
            found[name] = " ".join(text.replace("``", "").split())
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {entry}" for name, entry in value.items()) or "not set"
    if isinstance(value, list):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) or "not set"

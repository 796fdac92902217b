"""The command line and the settings, as their own help describes them."""

import click

from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.meanings import meanings
from tickertape.stream.configuration.settings import PREFIX, Settings


def page() -> str:
    """Return the help of every command."""
    parts = ["# Commands\n\n`tickertape COMMAND --help` prints the same.\n"]
    with click.Context(cli, info_name="tickertape") as context:
        parts += [f"```text\n{cli.get_help(context)}\n```\n", *_commands(cli, context)]
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> list[str]:
    parts = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=context) as inner:
            parts.append(f"## {inner.command_path}\n\n```text\n{command.get_help(inner)}\n```\n")
            if isinstance(command, click.Group):
                parts += _commands(command, inner)
    return parts


def settings() -> str:
    """Return every setting with its default and meaning."""
    meaning, default = meanings(Settings), Settings()
    lines = [
        "# Settings\n\nA setting comes from the command line, else from the environment, else from the file "
        "`tickertape.toml`, which `tickertape settings --example` prints.\n",
        "| setting | environment | default | meaning |\n| --- | --- | --- | --- |",
    ]
    for name in Settings.__struct_fields__:
        value = getattr(default, name)
        shown = f"`{value}`" if value not in ("", {}, []) and value is not None else ""
        text = meaning.get(name, "").replace("|", "\\|")
        lines.append(f"| `{name}` | `{PREFIX}{name.upper()}` | {shown} | {text} |")
    return "\n".join(lines) + "\n"

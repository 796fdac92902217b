"""A page for each metric, from the docstring of its result."""

import inspect
import re
from typing import Any

import msgspec

from tickertape.stream.configuration.meanings import meanings
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Output
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.worker.watchlist import gauge_name, shown
from tickertape.stream.results.described import SHARED_MEANINGS, described_outputs

_SECTION = re.compile(r"\n\n(\w+)\n-+\n")


def pages() -> dict[str, str]:
    """Return the pages by their paths, with an index."""
    found = {f"results/{_file(output)}.md": _page(output) for output in outputs()}
    lines = ["# Metrics\n\nEach metric is a file in the folder `agents`, and its results are JSON on a topic.\n"]
    lines += ["| results | topic | what they are |\n| --- | --- | --- |"]
    for output in outputs():
        summary = _summary(output.result)
        lines.append(f"| [{output.name}]({_file(output)}.md) | `{output.sink}` | {summary} |")
    names = "\n".join(map(_file, outputs()))
    lines.append(f"\n```{{toctree}}\n:hidden:\n{names}\n```\n")
    return found | {"results/index.md": "\n".join(lines)}


def outputs() -> list[Output]:
    """Return everything that the project's own agents publish, by name; each indicator with its usual parameters."""
    settings = Settings(indicators="; ".join(one.name for one in configured(Settings()).indicators))
    return sorted(described_outputs(configured(settings), settings), key=lambda output: output.name)


def _file(output: Output) -> str:
    return output.name.replace("/", "-")


def _summary(result: type[Any]) -> str:
    return " ".join(inspect.cleandoc(result.__doc__ or "").partition("\n\n")[0].split()).rstrip(".")


def _page(output: Output) -> str:
    parts = [f"# {output.name}\n"]
    # Alternately text and section titles.
    text, *sections = _SECTION.split(inspect.cleandoc(output.result.__doc__ or ""))
    parts.append(_plain(text))
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        parts.append(f"## {title}\n\n" + _plain(body) if title != "Attributes" else _fields(output))
    kinds = f'kinds=["{output.kind}"], ' if output.kind else ""
    parts.append(
        f"## Read them\n\n```sh\ntickertape tail {output.sink}\n```\n\n"
        f'```python\ntickertape.read("{output.sink}", {kinds}finals=True)\n```\n'
    )
    return "\n\n".join(parts)


def _fields(output: Output) -> str:
    lines = ["## Fields\n\n| field | type | meaning | in Prometheus |\n| --- | --- | --- | --- |"]
    meaning = SHARED_MEANINGS | meanings(output.result)
    for field in msgspec.structs.fields(output.result):
        name = field.name
        gauge = f"`{gauge_name(output.sink, name)[0]}`" if shown(name, field.type) else ""
        # A field with several widths is described once, under the name without the width.
        text = meaning.get(name) or meaning.get(name.rpartition("_")[0], "")
        lines.append(f"| `{name}` | {_type(field.type)} | {_plain(text)} | {gauge} |")
    return "\n".join(lines)


def _type(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _plain(text: str) -> str:
    """Return reStructuredText's references and literals as Markdown."""
    text = re.sub(r"^\.\. \[(\d+)\] ", r"\\[\1\\] ", text, flags=re.MULTILINE)
    return re.sub(r"\[(\d+)\]_", r"\\[\1\\]", text).replace("``", "`").replace("|", "\\|")

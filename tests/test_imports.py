"""Imports point one way: between rooms to a lower level, and between files in no circle."""

import ast
import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("schemas", "stream", "agents")

# A room is a folder. It imports from rooms of a lower level alone, and only those that its `__init__` names.
LEVELS = {
    "schemas": 0,
    "stream": 0,
    "stream.bundles": 1,
    "stream.compiled": 1,
    "stream.configuration": 2,
    "stream.extensions": 1,
    "stream.templates": 0,
    "stream.progress": 1,
    "stream.telemetry": 3,
    "stream.kafka": 1,
    "stream.kafka.access": 3,
    "stream.kafka.clients": 4,
    "stream.kafka.admin": 4,
    "stream.kafka.embedded": 4,
    "stream.kafka.stores": 5,
    "stream.engine": 1,
    "stream.engine.core": 2,
    "stream.engine.define": 3,
    "stream.engine.frames": 4,
    "stream.engine.fetch": 5,
    "stream.engine.recovery": 5,
    "stream.engine.finality": 6,
    "stream.engine.slices": 7,
    "stream.engine.tables": 6,
    "stream.engine.derived": 7,
    "stream.engine.windows": 8,
    "stream.engine.worker": 9,
    "stream.feeds": 3,
    "stream.feeds.hosts": 3,
    "stream.feeds.define": 4,
    "stream.feeds.adapt": 5,
    "stream.feeds.books": 5,
    "stream.feeds.figures": 6,
    "stream.feeds.history": 6,
    "stream.feeds.snapshots": 6,
    "stream.feeds.instruments": 5,
    "stream.feeds.instruments.lists": 4,
    "stream.feeds.refill": 5,
    "stream.feeds.live": 6,
    "stream.feeds.exchanges": 7,
    "stream.feeds.networks": 6,
    "stream.feeds.publish": 7,
    "stream.feeds.files": 7,
    "stream.feeds.backfill": 8,
    "stream.feeds.simulate": 8,
    "stream.feeds.together": 8,
    "stream.results": 8,
    "stream.sql": 9,
    "stream.alerts": 10,
    "stream.alerts.define": 3,
    "stream.alerts.channels": 4,
    "stream.recent": 9,
    "stream.watch": 9,
    "stream.export": 10,
    "stream.export.define": 3,
    "stream.export.databases": 4,
    "stream.cluster": 10,
    "stream.replay": 10,
    "stream.api": 10,
    "stream.console": 11,
    "stream.top": 11,
    "stream.terminal": 12,
    "stream.chaos": 12,
    "stream.chaos.oracle": 11,
    "stream.command_line": 14,
    "agents": 4,
    "agents.market": 4,
    "agents.market.indicators": 5,
    "agents.market.indicators.averages": 6,
    "agents.market.indicators.momentum": 6,
    "agents.market.indicators.trend": 6,
    "agents.market.indicators.volatility": 6,
    "agents.market.indicators.volume": 6,
    "agents.market.indicators.defaults": 7,
    "agents.social": 4,
}
# A room's commands may import whatever they run, wherever it lies.
COMMANDS = 13


def room(module: str) -> str:
    parts = module.split(".")[1:]
    while ".".join(parts) not in LEVELS:
        parts.pop()
    return ".".join(parts)


def level(module: str) -> int:
    if module.split(".")[-1] == "commands":
        return max(COMMANDS, LEVELS[room(module)])
    return LEVELS[room(module)]


def modules() -> dict[str, Path]:
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = ("tickertape", *path.relative_to(ROOT).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


FOUND = modules()


def imported(source: str) -> Iterator[str]:
    """Yield the modules of ours that a source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "tickertape")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tickertape":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in FOUND else node.module


def declared(name: str) -> set[str]:
    """Return what a room's `__init__` says that it may import."""
    text = (ROOT / name.replace(".", "/") / "__init__.py").read_text()
    found = re.search(r"May import: ([^\"]*)\.\n\"\"\"", text)
    assert found, f"{name}/__init__.py doesn't say what the room may import"
    return {part.strip().removesuffix(".errors") for part in found[1].replace("\n", " ").split(",")}


def wrong(module: str, source: str) -> list[str]:
    """Return the imports of a module that its room may not have."""
    mine = room(module)
    lines = []
    for name in imported(source):
        other = room(name)
        if other == mine and level(name) <= level(module):
            continue
        if level(name) >= level(module):
            lines.append(f"{module} imports {name}, which is above it")
        elif level(module) < COMMANDS and other not in declared(mine):
            lines.append(f"{module} imports {name}, which its room doesn't name")
    return lines


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, or none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_has_a_level() -> None:
    rooms = {".".join(module.split(".")[1:]) for module, path in FOUND.items() if path.name == "__init__.py"}
    assert rooms == LEVELS.keys()


def test_imports_point_down() -> None:
    assert {"tickertape.schemas.topics", "tickertape.stream.engine.fetch.transport"} <= FOUND.keys()
    assert [line for module, path in FOUND.items() for line in wrong(module, path.read_text())] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle({module: set(imported(path.read_text())) - {module} for module, path in FOUND.items()}) == []


def test_no_room_names_what_it_does_not_import() -> None:
    for name in LEVELS:
        used = {
            room(other)
            for module, path in FOUND.items()
            if room(module) == name and module.split(".")[-1] != "commands"
            for other in imported(path.read_text())
        }
        assert declared(name) - used - {name} <= {"nothing of ours"}, name


def test_nothing_is_imported_past_the_package() -> None:
    """``stream`` by itself would be a second copy of every module."""
    for path in [*FOUND.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]:
        assert not re.search(rf"^\s*(from|import) ({'|'.join(FOLDERS)})\b", path.read_text(), re.MULTILINE), path


def test_the_code_of_dashboards_is_for_developers_alone() -> None:
    """What it is built with isn't installed with Tickertape."""
    for path in [*FOUND.values(), *(ROOT / "tickertape").glob("*.py")]:
        assert not re.search(r"^\s*(from|import) (tickertape\.)?grafana", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("schemas.trade", "from {}.stream.errors import ConfigError", "stream.errors, which is above it"),
        ("schemas.trade", "from {}.agents.market import bars", "agents.market.bars, which is above it"),
        ("stream.engine.slices.slicer", "def f():\n    import {}.agents.signals", "agents.signals, which its room"),
        ("stream.engine.core.block", "from {}.stream.engine import windows", "stream.engine.windows, which is above"),
        (
            "stream.kafka.stores.states",
            "from {}.stream.engine.core import block",
            "stream.engine.core.block, which",
        ),
        ("stream.kafka.admin.topics", "from {}.stream.kafka import commands", "stream.kafka.commands, which is above"),
        ("stream.feeds.clock", "from {}.stream.feeds import commands", "stream.feeds.commands, which is above it"),
        ("stream.engine.define.recipes", "import {}.stream.feeds.clock", "stream.feeds.clock, which is above it"),
        ("agents.market.bars", "from {}.stream.engine.windows import agent", "stream.engine.windows.agent, which is a"),
    ],
)
def test_a_planted_import_is_told(module: str, source: str, told: str) -> None:
    (line,) = wrong(f"tickertape.{module}", source.format("tickertape"))
    assert line.startswith(f"tickertape.{module} imports tickertape.{told}")


def test_a_planted_circle_is_told() -> None:
    imports = {module: set(imported(path.read_text())) - {module} for module, path in FOUND.items()}
    imports["tickertape.stream.engine.core.block"] |= {"tickertape.stream.engine.core.refusal"}
    assert set(circle(imports)) == {"tickertape.stream.engine.core.block", "tickertape.stream.engine.core.refusal"}

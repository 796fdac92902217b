"""Imports point one way: each floor builds on those below it, and nothing that computes knows of the command."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("schemas", "stream", "agents")

# The longest name that fits counts; what fits none is on the top floor, with the commands.
FLOORS = {
    "schemas": 0,
    "stream.__init__": 0,
    "stream.aliases": 0,
    "stream.connection": 0,
    "stream.errors": 0,
    "stream.memory": 0,
    "stream.metrics": 0,
    "stream.logs": 0,
    "stream.numbers": 0,
    "stream.serving": 0,
    "stream.shown": 0,
    "stream.settings": 0,
    "stream.console": 1,
    "stream.engine": 1,
    "stream.feeds": 1,
    "stream.kafka": 1,
    "stream.scale": 1,
    "stream.workers": 1,
    "agents": 2,
    "stream.app": 3,
    "stream.replay": 3,
}
TOP = 4
# These know nothing of the packages beside them; `stream` finds agents by name.
NEVER = {"schemas": ("stream", "agents"), "stream": ("agents",)}


def floor(name: str) -> int:
    parts = name.split(".")
    # A command's module may import whatever it runs, wherever it lies.
    if "commands" in parts:
        return TOP
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((FLOORS[prefix] for prefix in prefixes if prefix in FLOORS), TOP)


def imported(module: str, source: str) -> Iterator[str]:
    """Yield what of ours a module imports, inside functions too: ``stream.kafka`` and ``stream.kafka.guard``."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*package, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        yield from (name for name in names if name.split(".")[0] in OURS)


def wrong(module: str, source: str) -> list[str]:
    """Return the imports that point the wrong way."""
    package = module.split(".")[0]
    return [
        f"{module} imports {name}"
        for name in imported(module, source)
        if name.split(".")[0] in NEVER.get(package, ()) or floor(name) > floor(module)
    ]


def modules() -> Iterator[tuple[str, str]]:
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts), path.read_text()


def test_imports_point_down() -> None:
    found = dict(modules())
    assert {"schemas.topics", "stream.engine.transport", "agents.market.bars"} <= found.keys()
    assert [line for module, source in found.items() for line in wrong(module, source)] == []


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("schemas.trade", "import numpy\nfrom stream.errors import ConfigError", "stream.errors.ConfigError"),
        ("schemas.trade", "from agents.market import bars", "agents.market.bars"),
        ("stream.app", "def find():\n    import agents.market.bars", "agents.market.bars"),
        ("stream.cli", "import agents", "agents"),
        ("stream.engine.slices", "from stream.app import Pipeline", "stream.app.Pipeline"),
        ("stream.engine.slices", "from stream import app", "stream.app"),
        ("stream.engine.slices", "from .. import app", "stream.app"),
        ("stream.kafka.topics", "from .commands import topics", "stream.kafka.commands.topics"),
        ("stream.feeds.session", "import stream.cli", "stream.cli"),
        ("stream.settings", "from stream.engine.block import Block", "stream.engine.block.Block"),
        ("agents.market.bars", "from stream.app import discover", "stream.app.discover"),
    ],
)
def test_import_that_points_up_is_told(module: str, source: str, told: str) -> None:
    assert wrong(module, source) == [f"{module} imports {told}"]


def test_import_that_points_down_is_not() -> None:
    assert wrong("agents.market.bars", "from schemas.topics import BARS\nimport stream.engine.block") == []
    assert wrong("stream.kafka.commands", "from stream.app import discover") == []
    assert wrong("stream.engine.slices", "from .block import Block\nfrom stream.kafka.producer import Producer") == []

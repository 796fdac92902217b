"""The reference of the public Python interface, and the examples."""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

import tickertape
from tickertape import testing

# Every public name is in one of these groups; `test_docs.py` holds that.
GROUPS = {
    "Read results": ["results", "Results", "read"],
    "Define metrics": [
        "Slicing",
        "Windowing",
        "Recursion",
        "Indicator",
        "Formula",
        "Parameter",
        "Rolling",
        "Signals",
        "Aggregate",
        "Sum",
        "Extreme",
        "Steps",
        "Distinct",
        "Frequent",
        "Reducer",
    ],
    "Build on ours": [
        "TRADE_SLICES",
        "TRADE_BARS",
        "Bar",
        "QUOTE_SLICES",
        "QUOTE_BARS",
        "QuoteBar",
        "POST_SLICES",
        "CHATTER",
        "Chatter",
    ],
    "Columns": ["Records", "floats", "ints", "flags", "Floats", "Ints", "Columns", "Schema", "FLOAT", "INT"],
    "Events and topics": [
        *("Trade", "Quote", "Post", "Depth", "Perpetual", "Liquidation"),
        *("Event", "Heartbeat", "Instrument", "Topic"),
    ],
    "Write feeds and formats": [
        *("Feed", "Source", "Stream", "StreamAnswer", "Limits", "Limit", "Busy", "Page", "Archive", "UnknownSymbol"),
        *("Change", "BookRule", "Format", "Other"),
    ],
    "Write alert channels": ["Channel", "Message", "Alert", "Http", "Answer", "Secret", "NotSent", "Refused"],
    "Write kinds of databases": ["Database", "Writer", "Table", "Column", "Row", "Unavailable", "DatabaseError"],
    "Settings": ["load_settings", "Settings"],
    "Errors": ["TickertapeError", "ConfigError", "InputError", "BrokerError", "AccessError"],
}


def python() -> str:
    """Return the page; Sphinx fills in the docstrings."""
    parts = [f"# Python interface\n\n{inspect.cleandoc(tickertape.__doc__ or '')}\n"]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(tickertape, name) for name in names]
    parts.append(f"## Test your own metrics\n\n{inspect.cleandoc(testing.__doc__ or '')}\n")
    parts += [_entry(testing, name) for name in testing.__all__]
    return "\n".join(parts)


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    full = f"{module.__name__}.{name}"
    if inspect.isroutine(value):
        return _directive(f"autofunction:: {full}")
    if not isinstance(value, type):
        return _directive(f"py:data:: {full}\n\n   {_comment(name)}")
    if issubclass(value, (msgspec.Struct, tuple)):
        # The docstring has the fields; Sphinx would list them once more.
        methods = ", ".join(_methods(value))
        return _directive(f"autoclass:: {full}" + (f"\n   :members: {methods}" if methods else ""))
    return _directive(f"autoclass:: {full}\n   :members:")


def _directive(text: str) -> str:
    return f"```{{eval-rst}}\n.. {text}\n```\n"


def _comment(name: str) -> str:
    """Return the comment of a public name that is neither a class nor a function, from the file that defines it."""
    home = import_module(next(place for place, names in tickertape._PLACES.items() if name in names))
    found = re.search(rf"((?:^#: .*\n)+){name}\b", inspect.getsource(home), re.MULTILINE)
    assert found, f"{name} has no comment that begins with `#:` in {home.__name__}"
    return " ".join(found[1].replace("#: ", "").split())


def _methods(kind: type) -> list[str]:
    return [
        name
        for name, value in vars(kind).items()
        if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, (property, classmethod)))
    ]


def anchor(path: Path) -> str:
    """Return the anchor of an example on its page."""
    return path.stem.replace("_", "-")


def examples(folder: Path) -> str:
    """Return a page with all examples."""
    parts = ["# Examples\n\nEach file runs as it is, and a test runs each of them.\n"]
    for path in sorted(folder.glob("*.py")):
        source = path.read_text()
        summary = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
        title = path.stem.replace("_", " ").capitalize()
        parts.append(f"## {title}\n\n`examples/{path.name}`: {summary}\n\n```python\n{source}```\n")
    return "\n".join(parts)

"""The arithmetic of docs/capacity.md: its formulas, over the constants and inputs in its tables.

Run: python -m docs.site.capacity [--write] [NAME=VALUE ...]

It prints what is derived; with values of your own for some names, for these. ``--write`` writes the derived values into
the page.
"""

import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[1] / "capacity.md"
#: A line of a table: a name, and a value (of constants and inputs) or a formula and its value.
_GIVEN = re.compile(r"^\| `(\w+)` \| ([\d.,]+) \|", re.MULTILINE)
_DERIVED = re.compile(r"^(\| `(\w+)` \| `([^`]+)` \| )([^|]*?)( \|)", re.MULTILINE)
_FUNCTIONS = {"ceil": math.ceil, "max": max, "min": min}


def given(text: str) -> dict[str, float]:
    """Return the constants and inputs of a page, by name."""
    return {name: float(value.replace(",", "")) for name, value in _GIVEN.findall(text)}


def formulas(text: str) -> dict[str, str]:
    """Return the formulas of a page, by the names of what they yield."""
    return {name: formula for _, name, formula, _, _ in _DERIVED.findall(text)}


def derived(text: str, own: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return what follows from a page's constants and inputs, each formula from those above it.

    Parameters
    ----------
    text
        The page.
    own
        Values that take the place of the page's, by name.

    Raises
    ------
    KeyError
        The page has no constant or input of a name in ``own``.
    """
    values = given(text)
    for name, value in (own or {}).items():
        if name not in values:
            raise KeyError(f"docs/capacity.md has no constant or input {name!r}")
        values[name] = value
    found = {}
    for name, formula in formulas(text).items():
        values[name] = found[name] = float(eval(formula, {"__builtins__": {}}, {**_FUNCTIONS, **values}))
    return found


def shown(value: float) -> str:
    """Return a value with three digits, or all digits of its integer part."""
    rounded = float(f"{value:.3g}")
    return f"{value:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def written(text: str) -> str:
    """Return the page with its derived values."""
    values = derived(text)
    return _DERIVED.sub(lambda row: f"{row[1]}{shown(values[row[2]])}{row[5]}", text)


def main(arguments: list[str]) -> None:
    text = PAGE.read_text()
    if "--write" in arguments:
        PAGE.write_text(written(text))
        return
    own = {name: float(value) for name, _, value in (each.partition("=") for each in arguments)}
    for name, value in derived(text, own).items():
        print(f"{name:24} {shown(value):>16}   = {formulas(text)[name]}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Finding what is computed: the recipes in the modules of some packages."""

import importlib
import pkgutil
from types import ModuleType
from typing import Any, NamedTuple

from tickertape.stream.engine.define.recipes import DerivedRecipe, Recursion, Rolling, Signals, Slicing, Windowing
from tickertape.stream.errors import ConfigError

_RECIPES = (Slicing, Windowing, Recursion, Rolling, Signals)


class Agents(NamedTuple):
    """What is computed."""

    slicings: list[Slicing]
    windowings: list[Windowing]
    #: What follows the windows when they are final.
    recipes: list[DerivedRecipe]


def discover(packages: list[str]) -> Agents:
    """Import every module of these packages, and return what their agents' files define.

    Raises
    ------
    ConfigError
        A package can't be imported, or holds no agent.
    """
    found: dict[int, Any] = {}
    for package in packages:
        for module in _modules(package):
            found |= {id(value): value for value in vars(module).values() if isinstance(value, _RECIPES)}
    slicings = [value for value in found.values() if isinstance(value, Slicing)]
    windowings = [value for value in found.values() if isinstance(value, Windowing)]
    if not slicings:
        raise ConfigError(f"no agent in {', '.join(packages)}: see the setting `agents`")
    recipes = [value for value in found.values() if isinstance(value, Recursion | Rolling | Signals)]
    return Agents(slicings, windowings, recipes)


def _modules(package: str) -> list[ModuleType]:
    try:
        root = importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"agents in {package!r} can't be imported: {error}; see the setting `agents`") from error
    below = pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{package}.")
    return [root, *(importlib.import_module(module.name) for module in below)]

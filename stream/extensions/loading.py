"""Load the modules that define metrics, feeds and formats."""

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from tickertape.stream.errors import ConfigError

#: The place that stands for the modules of all installed distributions.
INSTALLED = "installed"
#: The entry points by which a distribution names its modules, in its ``pyproject.toml``.
ENTRY_POINTS = "tickertape.extensions"
# The folder of our own agents. If the project's folder is on the path, they can also be imported by another name.
_OURS = Path(__file__).resolve().parents[2] / "agents"


def is_folder(place: str) -> bool:
    """Return whether a place is a folder, not a package: it has a path separator, or is ``.`` or ``..``."""
    return "/" in place or "\\" in place or place in (".", "..")


def modules(places: Sequence[str]) -> list[ModuleType]:
    """Load the modules of some places, and return each once.

    Parameters
    ----------
    places
        Each place is one of these:

        - the dotted name of a package or module;
        - a folder (``./metrics``). All its ``.py`` files are loaded, except tests and names that begin with an
          underscore or a dot;
        - `INSTALLED`.

    Raises
    ------
    ConfigError
        A place doesn't exist, or a module can't be loaded. The message says which one, and where it failed.
    """
    found: dict[str, ModuleType] = {}
    for place in places:
        if place == INSTALLED:
            for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
                found |= {module.__name__: module for module in _package(point.value)}
        else:
            some = _folder(place) if is_folder(place) else _package(place)
            found |= {module.__name__: module for module in some}
    return list(found.values())


def _package(name: str) -> Iterator[ModuleType]:
    root = _import(name, name)
    if not name.startswith("tickertape.") and Path(root.__file__ or "").resolve().is_relative_to(_OURS):
        raise ConfigError(
            f"agents in {name!r} would be a second copy of Tickertape's own: write tickertape.{name} instead"
        )
    yield root
    for module in pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{name}."):
        yield _import(module.name, name)


def _folder(place: str) -> Iterator[ModuleType]:
    """Load a folder's files into a private package, so their names can't clash with other modules."""
    folder = Path(place).resolve()
    if not folder.is_dir():
        raise ConfigError(f"agents in {place!r}: no such folder; see the setting `agents`")
    package = f"_tickertape_{blake2b(str(folder).encode(), digest_size=6).hexdigest()}"
    if package not in sys.modules:
        root = ModuleType(package)
        root.__path__ = [str(folder)]
        sys.modules[package] = root
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if not any(part.startswith(("_", ".")) for part in parts) and not _is_test(parts):
            yield _import(".".join((package, *parts)), place)


def _is_test(parts: Sequence[str]) -> bool:
    *folders, name = parts
    return "tests" in folders or name.startswith("test_") or name.endswith("_test") or name == "conftest"


def _import(name: str, place: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            hint = "; Tickertape's own are in tickertape.agents" if name.split(".")[0] == "agents" else ""
            raise ConfigError(
                f"agents in {place!r} can't be imported: {error}{hint}; see the setting `agents`"
            ) from error
        raise ConfigError(f"agents in {place!r}: {_told(error)}") from error
    except ConfigError:
        raise
    except Exception as error:  # a user's module may raise anything
        raise ConfigError(f"agents in {place!r}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return the place and the reason of a module's failure, in one line."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"

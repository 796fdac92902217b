"""Loading the modules in which metrics, feeds and formats are defined."""

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

#: Stands for all that installed distributions bring.
INSTALLED = "installed"
#: What a distribution names its modules by, in its ``pyproject.toml``.
ENTRY_POINTS = "tickertape.extensions"
# Where the project's own folder is on the path, ours can be imported by another name too.
_OURS = Path(__file__).resolve().parents[2] / "agents"


def is_folder(place: str) -> bool:
    """Return whether a place is a folder and not a package: it has a separator, or is one dot or two."""
    return "/" in place or "\\" in place or place in (".", "..")


def modules(places: Sequence[str]) -> list[ModuleType]:
    """Return the modules of some places, each once.

    Parameters
    ----------
    places
        Each the dotted name of a package or module; a folder (``./metrics``), of which every ``.py`` file is loaded
        but for tests and names with a leading underscore or dot; or `INSTALLED`.

    Raises
    ------
    ConfigError
        A place isn't there, or one of its modules can't be loaded: the line says which, and where it failed.
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
        raise ConfigError(f"agents in {name!r} are a second copy of ours: name them tickertape.{name}")
    yield root
    for module in pkgutil.walk_packages(getattr(root, "__path__", []), prefix=f"{name}."):
        yield _import(module.name, name)


def _folder(place: str) -> Iterator[ModuleType]:
    """Load a folder's files under a private name: theirs shadow no others, and none theirs."""
    folder = Path(place).resolve()
    if not folder.is_dir():
        raise ConfigError(f"agents in {place!r}: there is no such folder; see the setting `agents`")
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
            hint = "; ours are in tickertape.agents" if name.split(".")[0] == "agents" else ""
            raise ConfigError(
                f"agents in {place!r} can't be imported: {error}{hint}; see the setting `agents`"
            ) from error
        raise ConfigError(f"agents in {place!r}: {_told(error)}") from error
    except ConfigError:
        raise
    except Exception as error:  # whatever its author's mistake is
        raise ConfigError(f"agents in {place!r}: {_told(error)}") from error


def _told(error: Exception) -> str:
    """Return where a module failed, and why, as one line."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {error}"

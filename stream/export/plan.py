"""The file that the setting ``databases`` names: where results are copied."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from tickertape.stream.configuration.entries import entries_in
from tickertape.stream.configuration.numbers import not_finite
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.export.define.database import Database
from tickertape.stream.export.define.table import Table
from tickertape.stream.export.tables import tables_of
from tickertape.stream.recent.sinks import Sink, sinks_of

# Our own kinds of databases are found in the same way as those of users.
OURS = "tickertape.stream.export.databases"


class _File(Struct, forbid_unknown_fields=True):
    database: list[dict[str, Any]] = field(default_factory=list)


def load(path: str, places: Sequence[str], environ: Mapping[str, str] | None = None) -> dict[str, Database]:
    """Read the file, and return the databases by name.

    Parameters
    ----------
    path
        The file.
    places
        Packages and folders that define more kinds of databases: the setting ``agents``.
    environ
        The environment with the secrets that ``…_env`` names; by default that of the process.

    Raises
    ------
    ConfigError
        The file can't be read, or something in it isn't valid. The message never shows a secret.
    """
    if not path:
        raise ConfigError("setting: databases names no file, so there is no database; see docs/export.md")
    try:
        file = msgspec.toml.decode(Path(path).read_bytes(), type=_File)
        base: type[Database] = Database  # type: ignore[type-abstract]  # it is never made itself
        found = entries_in(file.database, base, "database", [OURS, *places], Path(path).parent, environ)
        for database in found.values():
            _check(database)
    except (OSError, ValueError) as error:
        raise ConfigError(f"setting: databases={path}: {error}; see docs/export.md") from None
    return found


def chosen(settings: Settings, name: str) -> Database:
    """Return the database of a name in the settings' file.

    Raises
    ------
    ConfigError
        There is none.
    """
    known = load(settings.databases, settings.agents)
    if name not in known:
        raise ConfigError(f"{name}: no such database; there are {', '.join(known) or 'none'}")
    return known[name]


def exported(settings: Settings, database: Database) -> dict[str, tuple[Sink, Table]]:
    """Return the sinks that are copied to a database, with their tables, by topic.

    Raises
    ------
    ConfigError
        It names a topic without results, or results can't be rows of a table.
    """
    sinks = sinks_of(settings)
    for topic in database.topics:
        if topic not in sinks:
            raise ConfigError(f"database {database.name}: {topic} has no results; use of {', '.join(sorted(sinks))}")
    some = {topic: sink for topic, sink in sorted(sinks.items()) if not database.topics or topic in database.topics}
    return {topic: (some[topic], table) for topic, table in tables_of(list(some.values())).items()}


def _check(database: Database) -> None:
    if not database.name.replace("-", "_").isidentifier():
        raise ValueError(f"database {database.name!r}: a name has letters, digits, `_` and `-`")
    for path in not_finite(database):
        raise ValueError(f"database {database.name}: {path} isn't a finite number")

"""The file of feeds that run together, ``feeds.toml``. Whatever is wrong in it is one line that names the place."""

import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct, structs

from tickertape.stream.configuration.connection import Secret
from tickertape.stream.configuration.entries import with_secrets
from tickertape.stream.configuration.settings import Settings, Whole
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.registry import feeds, settings_of
from tickertape.stream.feeds.options import MOST_BUNDLE_SECONDS, Duration, SourceName
from tickertape.stream.feeds.together.plan import Plan, nearest, wrong_symbols

SHARED, FEEDS = "shared", "feeds"


class Options(Struct, frozen=True, kw_only=True):
    """What a feed of the file may have besides the settings that it declares itself.

    Attributes
    ----------
    feed
        The feed that runs; by default the one that the entry is called after.
    symbols
        The symbols.
    source
        The source's name in records; by default the feed's name.
    bundle
        How long the events of a partition are collected for one record, as ``5ms``. Empty: each event is a record.
    redundant
        True to have two connections for each one.
    spread
        By key: the number of partitions over which its events are spread.
    """

    feed: str = ""
    symbols: list[str] = []
    source: str = ""
    bundle: str = ""
    redundant: bool = False
    spread: dict[str, Whole] = {}


_OPTIONS = {one.name: one.type for one in structs.fields(Options)}
# Those that all feeds of a file may share; the others are of one feed alone.
_SHARED_OPTIONS = frozenset({"bundle", "redundant"})


def read(path: Path, settings: Settings, environ: Mapping[str, str] | None = None) -> list[Plan]:
    """Read a file of feeds.

    Parameters
    ----------
    path
        The file.
    settings
        The settings, which hold where the file says nothing else.
    environ
        The environment that ``…_env`` is about; by default that of the process.

    Raises
    ------
    ConfigError
        The file can't be read, or something in it is wrong. The message names the place, and shows no secret.
    """
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    _must_know(values, {SHARED, FEEDS}, str(path))
    entries = _table(values.get(FEEDS, {}), f"{path}: {FEEDS}")
    if not entries:
        raise ConfigError(f"{path}: it has no feed; write a table such as [feeds.binance], with symbols")
    reader = _Reader(path, settings, os.environ if environ is None else environ)
    tables = {name: _table(entry, f"{path}: {FEEDS}.{name}") for name, entry in entries.items()}
    shared = reader.shared(_table(values.get(SHARED, {}), f"{path}: {SHARED}"), tables)
    found: dict[str, Plan] = {}
    for name, table in tables.items():
        plan = reader.plan(name, table, shared)
        if plan.source in found:
            raise ConfigError(
                f"{plan.place}: source: another feed of the file is called {plan.source} in records too; give this "
                "one a name of its own"
            )
        found[plan.source] = plan
    return list(found.values())


class _Reader:
    """Reads the tables of one file."""

    def __init__(self, path: Path, settings: Settings, environ: Mapping[str, str]) -> None:
        self._path = path
        self._settings = settings
        self._environ = environ
        self._feeds = feeds(settings.agents)

    def shared(self, values: dict[str, Any], tables: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Return what all feeds share. Each key must be one that some feed of the file has."""
        known = set(_SHARED_OPTIONS)
        for name, table in tables.items():
            known |= _types(self._feed(name, table)).keys()
        _must_know(values, known, f"{self._path}: {SHARED}")
        return values

    def plan(self, name: str, table: dict[str, Any], shared: Mapping[str, Any]) -> Plan:
        """Return the plan of one table."""
        place, feed = f"{self._path}: {FEEDS}.{name}", self._feed(name, table)
        types = _types(feed)
        secrets = [key for key, kind in types.items() if kind is Secret]
        ways = {f"{secret}_{way}" for secret in secrets for way in ("env", "file")}
        _must_know(table, _OPTIONS.keys() | types.keys() | ways, place)
        try:
            said = with_secrets(table, secrets, self._path.parent, self._environ)
        except ValueError as error:
            raise ConfigError(f"{place}: {error}") from None
        lent = {
            key: value for key, value in shared.items() if (key in types or key in _SHARED_OPTIONS) and key not in said
        }
        said |= lent
        kinds = types | _OPTIONS
        said = {
            key: _value(value, kinds[key], f"{self._path}: {SHARED}: {key}" if key in lent else f"{place}: {key}")
            for key, value in said.items()
        }
        options = Options(**{key: value for key, value in said.items() if key in _OPTIONS})
        own = {f"{feed.name}_{key}": value for key, value in said.items() if key not in _OPTIONS}
        if wrong := wrong_symbols(feed, options.symbols):
            raise ConfigError(f"{place}: symbols: {wrong}")
        return Plan(
            place,
            feed,
            settings_of(feed, {**self._settings.feeds, **own}),
            options.symbols,
            _option(SourceName(), options.source or feed.name, f"{place}: source"),
            _option(Duration(MOST_BUNDLE_SECONDS), options.bundle or 0.0, f"{place}: bundle"),
            options.redundant,
            options.spread,
        )

    def _feed(self, name: str, table: Mapping[str, Any]) -> Feed:
        called = table.get("feed", name)
        if not isinstance(called, str) or called not in self._feeds:
            raise ConfigError(
                f"{self._path}: {FEEDS}.{name}: no feed is called {called}{nearest(str(called), self._feeds)}"
            )
        return self._feeds[called]


def _types(feed: Feed) -> dict[str, Any]:
    return {one.name: one.type for one in structs.fields(feed.settings)}


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: it must be a table")
    return value


def _must_know(values: Mapping[str, Any], known: Collection[str], place: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{place}: no key {key}{nearest(key, known)}")


def _value(value: Any, kind: Any, place: str) -> Any:
    """Return a value of the file as its type. Several words may be written as a list."""
    if kind is Secret:
        return value  # a text, which `settings_of` hides
    if kind is str and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}") from None


def _option(kind: click.ParamType, value: Any, place: str) -> Any:
    """Return a value as the option of a command takes it."""
    try:
        return kind.convert(value, None, None)
    except click.BadParameter as error:
        raise ConfigError(f"{place}: {error.message}") from None

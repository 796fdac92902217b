"""Which feeds and formats there are: ours, and those of the setting `agents`; and what can be set of feeds."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tickertape.stream.configuration import settings as configuration
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import modules
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.format import Format

# Ours are found as others' are.
OURS = ("tickertape.stream.feeds.sources", "tickertape.stream.feeds.files")
Named = TypeVar("Named", Feed, Format)


def feeds(places: Sequence[str]) -> dict[str, Feed]:
    """Return all feeds by name.

    Parameters
    ----------
    places
        Where others' are; see `modules`.

    Raises
    ------
    ConfigError
        A place can't be loaded; or two feeds have one name.
    """
    return _by_name(places, Feed)


def formats(places: Sequence[str]) -> dict[str, Format]:
    """Return all formats by name; see `feeds`."""
    return _by_name(places, Format)


def format_named(name: str, places: Sequence[str]) -> Format:
    """Return one format.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    known = formats(places)
    if name not in known:
        raise ConfigError(f"--format {name}: no such format; there are {', '.join(sorted(known))}")
    return known[name]


def _by_name(places: Sequence[str], kind: type[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for module in modules([*OURS, *places]):
        for value in vars(module).values():
            if isinstance(value, kind) and found.setdefault(value.name, value) is not value:
                what = kind.__name__.lower()
                raise ConfigError(f"{module.__file__}: there is a {what} {value.name} already; give it another name")
    return found


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings, also those of feeds; see `configuration.settings.load`."""
    return configuration.load(environ, declared=_declared, **overrides)


def _declared(places: Sequence[str]) -> dict[str, type]:
    """Return what can be set of feeds: the type of each, by its whole name."""
    return {
        f"{feed.name}_{field.name}": field.type
        for feed in feeds(places).values()
        for field in msgspec.structs.fields(feed.settings)
    }


def settings_of(feed: Feed, values: Mapping[str, Any]) -> Any:
    """Return a feed's settings.

    Parameters
    ----------
    feed
        Which.
    values
        By whole name; see the setting ``feeds``.

    Raises
    ------
    ConfigError
        A value is of the wrong kind or out of range.
    """
    mine = {
        name.removeprefix(f"{feed.name}_"): value for name, value in values.items() if name.startswith(f"{feed.name}_")
    }
    try:
        return msgspec.convert(mine, feed.settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"setting of {feed.name}: {error}; see `tickertape settings`") from None

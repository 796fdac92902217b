"""The known feeds and formats, ours and those in the setting `agents`, and the settings of feeds."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tickertape.stream.configuration import settings as configuration
from tickertape.stream.configuration.connection import secret_from
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.extensions.loading import modules
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.format import Format

# Our own feeds and formats are found in the same way as those of users.
OURS = ("tickertape.stream.feeds.exchanges", "tickertape.stream.feeds.networks", "tickertape.stream.feeds.files")
Named = TypeVar("Named", Feed, Format)


def feeds(places: Sequence[str]) -> dict[str, Feed]:
    """Return all feeds by name.

    Parameters
    ----------
    places
        Packages and folders that define more feeds; see `modules`.

    Raises
    ------
    ConfigError
        A place can't be loaded, or two feeds have the same name.
    """
    return _by_name(places, Feed)


def formats(places: Sequence[str]) -> dict[str, Format]:
    """Return all formats by name; see `feeds`."""
    return _by_name(places, Format)


def format_named(name: str, places: Sequence[str], values: Mapping[str, Any] | None = None) -> Format:
    """Return the format of this name.

    Parameters
    ----------
    name, places
        The name, and where more formats are defined; see `formats`.
    values
        The settings of all feeds: with ``decimals`` of one of its feeds, the format keeps all digits.

    Raises
    ------
    ConfigError
        No format has this name.
    """
    known = formats(places)
    if name not in known:
        raise ConfigError(f"--format {name}: no such format; there are {', '.join(sorted(known))}")
    found, ours = known[name], feeds(places) if values else {}
    for feed in found.feeds if found.exact is not None and values else ():
        if feed in ours and getattr(settings_of(ours[feed], values or {}), "decimals", False):
            return found.exact or found
    return found


def _by_name(places: Sequence[str], kind: type[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for module in modules([*OURS, *places]):
        for value in vars(module).values():
            if isinstance(value, kind) and found.setdefault(value.name, value) is not value:
                what = kind.__name__.lower()
                raise ConfigError(f"{module.__file__}: a {what} named {value.name} exists already; choose another name")
    return found


def load(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings, including those of feeds; see `configuration.settings.load`."""
    return configuration.load(environ, declared=_declared, **overrides)


def _declared(places: Sequence[str]) -> dict[str, type]:
    """Return the type of each feed setting, by its full name: ``binance_url``."""
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
        The feed.
    values
        The settings of all feeds, by full name; see the setting ``feeds``.

    Raises
    ------
    ConfigError
        A value has the wrong type or is out of range.
    """
    mine = {
        name.removeprefix(f"{feed.name}_"): value for name, value in values.items() if name.startswith(f"{feed.name}_")
    }
    try:
        return msgspec.convert(mine, feed.settings, strict=False, dec_hook=secret_from)
    except msgspec.ValidationError as error:
        raise ConfigError(f"setting of {feed.name}: {error}; see `tickertape settings`") from None

"""What is to run: a feed with its settings and symbols, from a file or from a command's arguments."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from tickertape.stream.configuration.settings import PREFIX, Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.feeds.define.feed import Feed
from tickertape.stream.feeds.define.names import UnknownSymbol
from tickertape.stream.feeds.define.registry import feeds, settings_of
from tickertape.stream.feeds.define.source import Source


@dataclass(frozen=True)
class Plan:
    """One feed that is to run.

    Attributes
    ----------
    place
        Where it is described, for errors: ``feeds.toml: feeds.binance``; empty for a command's arguments.
    feed
        The feed.
    settings
        Its settings, of the type that it declares.
    symbols
        The symbols.
    source
        The source's name in records.
    bundle_seconds
        How long the events of a partition are collected for one record; 0: each event is a record.
    redundant
        True to have two connections for each one.
    spread
        By key: the number of partitions over which its events are spread.
    """

    place: str
    feed: Feed
    settings: Any
    symbols: Sequence[str]
    source: str
    bundle_seconds: float = 0.0
    redundant: bool = False
    spread: Mapping[str, int] = field(default_factory=dict)

    def connect(self, symbols: Sequence[str] | None = None) -> Source:
        """Return the source. It may request a list of instruments, and is called where no event loop runs.

        Parameters
        ----------
        symbols
            The symbols; None for all that were asked for.

        Raises
        ------
        UnknownSymbol
            The source doesn't have one of the symbols.
        ConfigError
            A setting is wrong.
        """
        try:
            found = self.feed.connect(self.settings, self.symbols if symbols is None else symbols, self.source)
        except UnknownSymbol as error:
            raise UnknownSymbol(self._at(str(error), "symbols: ")) from None
        except ConfigError as error:
            raise ConfigError(self._at(str(error))) from None
        for url in found.urls(0):
            if not _is_address(url):
                raise ConfigError(self._at(f"{found.setting}: {url} isn't the address of a WebSocket, wss://HOST/…"))
        return found

    def _at(self, text: str, key: str = "") -> str:
        """Return an error with its place. In a file, a setting has another name than in the environment."""
        if not self.place:
            return text
        for one in structs.fields(type(self.settings)):
            text = text.replace(f"{PREFIX}{self.feed.name}_{one.name}".upper(), one.name)
        return f"{self.place}: {key}{text}"


def of_arguments(name: str, symbols: Sequence[str], settings: Settings) -> Plan:
    """Return the plan of one feed that a command names.

    Raises
    ------
    ConfigError
        There is no such feed, it needs symbols, or it takes none.
    """
    known = feeds(settings.agents)
    if name not in known:
        raise ConfigError(f"no feed is called {name}{nearest(name, known)}")
    feed = known[name]
    if wrong := wrong_symbols(feed, symbols):
        raise ConfigError(wrong)
    return Plan("", feed, settings_of(feed, settings.feeds), symbols, name)


def wrong_symbols(feed: Feed, symbols: Sequence[str]) -> str:
    """Return what is wrong with the number of symbols; empty if nothing is."""
    if bool(symbols) == feed.takes_symbols:
        return ""
    return f"{feed.name} needs at least one symbol" if feed.takes_symbols else f"{feed.name} takes no symbols"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error about a name that isn't known: what was probably meant, or what there is."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, 1):
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(names)}"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

"""A live feed, as the command line runs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from tickertape.stream.feeds.define.source import Source


class NoSettings(Struct, frozen=True):
    """Of a feed that has nothing to set."""


@dataclass(frozen=True)
class Feed:
    """A live feed: ``tickertape feed NAME``; the file of a source defines one.

    Attributes
    ----------
    name
        What it is called, in small letters and digits; and the source's name in records, where no other is asked for.
    about
        What it sends, in a sentence.
    connect
        Takes the feed's settings, the symbols that are asked for, and the source's name; returns the source.
    settings
        A Struct of what can be set, each with a default. ``url`` of a feed ``coinbase`` is set by
        ``TICKERTAPE_COINBASE_URL``, or by ``coinbase_url`` in ``tickertape.toml``.
    takes_symbols
        Whether symbols are asked for; else it sends all there is.
    """

    name: str
    about: str
    connect: Callable[[Any, Sequence[str], str], Source]
    settings: type[Struct] = NoSettings
    takes_symbols: bool = True

"""The definition of a live feed for the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from tickertape.stream.feeds.define.source import Source


class NoSettings(Struct, frozen=True):
    """The settings of a feed that has none."""


@dataclass(frozen=True)
class Feed:
    """A live feed, run by ``tickertape feed NAME``. The module of a source defines it as a constant.

    Attributes
    ----------
    name
        The command's name: lower-case letters and digits. It is also the source's name in records, unless ``--source``
        gives another.
    about
        What it sends, as a sentence that continues "Send"; the command's help shows it.
    connect
        Called with the feed's settings, the requested symbols and the source's name; returns the source.
    settings
        A Struct of the feed's settings, each with a default. The field ``url`` of a feed ``coinbase`` is set by
        ``TICKERTAPE_COINBASE_URL``, or by ``coinbase_url`` in ``tickertape.toml``.
    takes_symbols
        True if the command requires symbols; False if the feed sends everything that the source has.
    """

    name: str
    about: str
    connect: Callable[[Any, Sequence[str], str], Source]
    settings: type[Struct] = NoSettings
    takes_symbols: bool = True

"""Pieces of the messages that ask an exchange for streams, and of its answers."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from tickertape.stream.feeds.define.stream import Stream

T = TypeVar("T")


def parts(of: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield parts of at most so many."""
    return (of[first : first + most] for first in range(0, len(of), most))


def text_of(message: object) -> str:
    """Return a message as JSON."""
    return msgspec.json.encode(message).decode()


def by_channel(streams: Sequence[Stream], most: int = 10_000) -> list[tuple[str, list[str]]]:
    """Return channels with the names of their symbols, each name once, and at most so many together."""
    found: dict[str, dict[str, None]] = {}
    for stream in streams:
        found.setdefault(stream.channel, {})[stream.name] = None
    return [(channel, list(some)) for channel, names in found.items() for some in parts(list(names), most)]


def named_in(text: str, names: Sequence[str]) -> list[str]:
    """Return the names that stand in a text as words, for refusals in an exchange's own words."""
    words = {word.strip(".,;:'\"[](){}") for word in text.replace(",", " ").replace(":", " ").split()}
    return [name for name in names if name in words]

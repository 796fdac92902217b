"""A format of recorded files."""

from collections.abc import Callable
from dataclasses import dataclass

from tickertape.schemas.events import Event
from tickertape.stream.feeds.define.other import Other


def _as_it_is(_: bytes, error: Exception) -> str:
    return str(error)


@dataclass(frozen=True)
class Format:
    """How a file is read: ``tickertape feed file --format NAME``; the file of a source defines one.

    Attributes
    ----------
    name
        What it is called.
    parse
        Reads one line: an event, or what else it is; ValueError where it is neither. None: it has no lines.
    kinds
        The kinds of events that there may be.
    reason
        Says why a line can't be read.
    """

    name: str
    parse: Callable[[bytes], Event | Other] | None
    kinds: tuple[type, ...]
    reason: Callable[[bytes, Exception], str] = _as_it_is

"""A format of recorded files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tickertape.schemas.events import Event
from tickertape.stream.feeds.define.other import Other


def _as_it_is(_: bytes, error: Exception) -> str:
    return str(error)


@dataclass(frozen=True)
class Format:
    """How a recorded file is read: ``tickertape feed file --format NAME``. A module defines it as a constant.

    Attributes
    ----------
    name
        The value of ``--format``.
    parse
        Decodes one line into an event, several, or an `Other`; raises ValueError if it is neither. None if the format
        has no lines.
    kinds
        The kinds of events that a file may contain.
    reason
        Returns why a line can't be read, from the line and the error of ``parse``.
    read
        For a format without lines: yields what a file contains. It calls its second argument with the place and the
        reason of each part that can't be read.
    exact
        The same format, with all digits of prices and quantities kept as the file has them; None if there is no
        difference.
    feeds
        The feeds whose setting ``decimals`` asks for it.
    """

    name: str
    parse: Callable[[bytes], Event | list[Event] | Other] | None
    kinds: tuple[type, ...]
    reason: Callable[[bytes, Exception], str] = _as_it_is
    read: Callable[[Path, Callable[[str], None]], Iterable[Event | Other]] | None = None
    exact: "Format | None" = None
    feeds: tuple[str, ...] = ()

"""What a source sends besides events, and the name that its events have."""

from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event


class Other(Struct, frozen=True):
    """A message that is no event; feeds count them by kind.

    Attributes
    ----------
    kind
        As the source names it: ``depth``; or a word for it: ``deletion``.
    """

    kind: str


def renamed(found: Event | Other, source: str) -> Event | Other:
    """Return what a message tells of, an event under a source's name."""
    if isinstance(found, Other) or found.source == source:
        return found
    event: Any = found
    renamed_: Event = msgspec.structs.replace(event, source=source)
    return renamed_

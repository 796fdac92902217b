"""Messages that are not events, and the renaming of an event's source."""

from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event


class Other(Struct, frozen=True):
    """A message that is not an event; feeds count these by kind.

    Attributes
    ----------
    kind
        The source's own name for it, as ``depth``, or a word that describes it, as ``deletion``.
    """

    kind: str


def renamed(found: Event | Other, source: str) -> Event | Other:
    """Return a decoded message; if it is an event, with the given source name."""
    if isinstance(found, Other) or found.source == source:
        return found
    event: Any = found
    renamed_: Event = msgspec.structs.replace(event, source=source)
    return renamed_

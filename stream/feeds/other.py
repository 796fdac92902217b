"""What a source sends besides events."""

from msgspec import Struct


class Other(Struct, frozen=True):
    """A message that is no event; feeds count them by kind.

    Attributes
    ----------
    kind
        As the source names it: ``depth``; or a word for it: ``deletion``.
    """

    kind: str

"""The kinds of events that feeds send, and the topic of each."""

from typing import Protocol

from msgspec import UNSET, Raw, Struct, UnsetType

from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import POSTS, QUOTES, TRADES, Topic
from tickertape.schemas.trade import Trade


class Event(Protocol):
    """What an event of any kind says of itself.

    Attributes
    ----------
    source
        The exchange or network that it comes from.
    id
        The source's own number for it; an event that is sent again keeps it.
    time_ms
        Event time, ms since 1970 UTC.
    received_ms
        When the feed had it, by the feed's clock, ms; 0 where it doesn't say.
    """

    @property
    def source(self) -> str: ...

    @property
    def id(self) -> int: ...

    @property
    def time_ms(self) -> int: ...

    @property
    def received_ms(self) -> int: ...


# By kind. The field that the topic's ``key`` names says which partition an event goes to.
TOPICS: dict[type, Topic] = {Trade: TRADES, Quote: QUOTES, Post: POSTS}


class Shape(Struct, gc=False):
    """As much of a record as tells its kind, where no topic does: a field that one kind has and no other.

    Attributes
    ----------
    bid
        A quote's.
    author
        A post's.
    """

    bid: Raw | UnsetType = UNSET
    author: Raw | UnsetType = UNSET

    @property
    def kind(self) -> type[Trade | Quote | Post]:
        if _is_there(self.bid):
            return Quote
        return Post if _is_there(self.author) else Trade


def _is_there(field: Raw | UnsetType) -> bool:
    """Return whether a record has a field; one that is null it hasn't got."""
    return field is not UNSET and bytes(field) != b"null"

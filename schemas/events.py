"""The kinds of events that feeds send, and the topic of each."""

from typing import Protocol

from msgspec import UNSET, Raw, Struct, UnsetType

from tickertape.schemas.book import Depth
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.topics import BOOKS, LIQUIDATIONS, PERPETUALS, POSTS, QUOTES, TRADES, Topic
from tickertape.schemas.trade import Trade


class Event(Protocol):
    """The fields that events of all kinds have.

    Attributes
    ----------
    source
        The exchange or network that sent the event.
    id
        The source's own number for the event. It stays the same when the event is sent again.
    time_ms
        Event time, ms since 1970 UTC.
    received_ms
        When the feed received the event, by the feed's clock, ms; 0 if unknown.
    """

    @property
    def source(self) -> str: ...

    @property
    def id(self) -> int | str: ...

    @property
    def time_ms(self) -> int: ...

    @property
    def received_ms(self) -> int: ...


# The topic of each kind. The field that the topic's ``key`` names decides the partition of an event.
TOPICS: dict[type, Topic] = {
    Trade: TRADES,
    Quote: QUOTES,
    Depth: BOOKS,
    Post: POSTS,
    Perpetual: PERPETUALS,
    Liquidation: LIQUIDATIONS,
}


class Shape(Struct, gc=False):
    """The fields that tell the kind of a record from a file, which has no topic.

    Attributes
    ----------
    bid
        Only quotes have it.
    author
        Only posts have it.
    """

    bid: Raw | UnsetType = UNSET
    author: Raw | UnsetType = UNSET

    @property
    def kind(self) -> type[Trade | Quote | Post]:
        if _is_there(self.bid):
            return Quote
        return Post if _is_there(self.author) else Trade


def _is_there(field: Raw | UnsetType) -> bool:
    """Return whether a record has a field; null counts as missing."""
    return field is not UNSET and bytes(field) != b"null"

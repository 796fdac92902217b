"""A change of an order book, as a source sends it."""

from collections.abc import Sequence

from msgspec import Struct

#: A price and the quantity that stands there now, as the source's decimal text; a quantity of zero removes the price.
Level = tuple[str, str]


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """A snapshot or a delta of one order book. Which numbers a source gives differs; missing ones are None.

    Attributes
    ----------
    symbol, source
        As in a `Trade`.
    time_ms
        When the book changed, by the source's clock, ms; if it doesn't say, when the feed received the message.
    received_ms
        When the feed received the message, by its own clock, ms.
    is_snapshot
        True if the levels are the whole book.
    bids, asks
        The levels that change.
    first, last
        The numbers of the first and the last update in it.
    previous
        The number that the book must have before it.
    checksum
        The source's checksum of the book after it.
    """

    symbol: str
    source: str
    time_ms: int
    received_ms: int
    is_snapshot: bool
    bids: Sequence[Level]
    asks: Sequence[Level]
    first: int | None = None
    last: int | None = None
    previous: int | None = None
    checksum: int | None = None

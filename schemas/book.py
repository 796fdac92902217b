"""The depth of order books, as every feed that keeps books publishes it."""

from typing import Annotated

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Positive, Source, TimeMs

MOST_LEVELS = 1000

Numbers = Annotated[list[Positive], Meta(max_length=MOST_LEVELS)]


class Depth(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """The best levels of one order book at one moment, as JSON on the topic ``books``.

    A feed takes one of each live book every second, also if nothing has changed. A second without one means that the
    book was not to be trusted, or that the feed did not run. Best bid and best ask never cross.

    Attributes
    ----------
    symbol
        What is traded, as ``BASE-QUOTE``: ``BTC-USDT``.
    source
        The exchange that keeps the book: ``binance``.
    id
        The number of the book's last change, which never falls within source and symbol: the source's own, or else one
        that the feed makes of the time. It is the same for all seconds in which nothing changes.
    time_ms
        Event time: the whole second, by the feed's clock, ms since 1970 UTC.
    changed_ms
        When the book changed last, by the source's clock, ms.
    bids, bid_quantities
        The prices of the best bids from high to low, in the quote currency, and the quantity at each, in the base
        currency; above zero, at most 1e18. At most `MOST_LEVELS`, usually 20. An empty side is an empty list.
    asks, ask_quantities
        The same of the best asks, from low to high.
    received_ms
        When the feed took it, by its own clock, ms; less than a second past ``time_ms``.
    """

    symbol: Name
    source: Source
    id: Id
    time_ms: TimeMs
    changed_ms: TimeMs
    bids: Numbers
    bid_quantities: Numbers
    asks: Numbers
    ask_quantities: Numbers
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

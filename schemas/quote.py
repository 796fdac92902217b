"""A quote, as every feed normalises it."""

from typing import Annotated

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Positive, Source, TimeMs


class Quote(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """The best bid and the best ask of one book at one moment, as JSON on the topic ``quotes``.

    A book may be locked (bid = ask) or crossed (bid > ask): an exchange's own book seldom is, one that lags, or is
    composed of several, is now and then. Such a quote is counted like any other; its spread is zero or below. A book
    with nothing on one side has no quote: every price and quantity is above zero.

    Attributes
    ----------
    symbol
        What is quoted, as ``BASE-QUOTE``: ``BTC-USDT``.
    source
        The exchange whose book it is: ``binance``.
    id
        The source's own number for this state of the book, unique within source and symbol, and rising.
    time_ms
        Event time: since when it holds by the source's clock, ms since 1970 UTC; where the source doesn't say, when the
        feed had it.
    bid, ask
        The highest price that is bid, and the lowest that is asked, in the quote currency; above zero, at most 1e18.
    bid_quantity, ask_quantity
        How much is bid and asked at these, in the base currency; above zero, at most 1e18.
    received_ms
        When the feed had it, by the feed's clock, ms; 0 where the producer doesn't say. The append time serves where it
        is earlier, or there is no other.
    """

    symbol: Name
    source: Source
    id: Id
    time_ms: TimeMs
    bid: Positive
    bid_quantity: Positive
    ask: Positive
    ask_quantity: Positive
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

"""Quotes, as every feed normalises them."""

from typing import Annotated

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Positive, Source, TimeMs


class Quote(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """The best bid and the best ask of one book at one moment, as JSON on the topic ``quotes``.

    A book may be locked (bid = ask) or crossed (bid > ask). This is rare in an exchange's own book, but happens in a
    book that lags or combines several exchanges. Such a quote is counted like any other; its spread is zero or
    negative. A book with an empty side has no quote: every price and quantity is above zero.

    Attributes
    ----------
    symbol
        What is quoted, as ``BASE-QUOTE``: ``BTC-USDT``.
    source
        The exchange that keeps the book: ``binance``.
    id
        The source's own number for this state of the book, unique within source and symbol, and rising.
    time_ms
        Event time: when the book changed to this state by the source's clock, ms since 1970 UTC. If the source doesn't
        say, when the feed received the quote.
    bid, ask
        The highest bid price and the lowest ask price, in the quote currency; above zero, at most 1e18.
    bid_quantity, ask_quantity
        The quantities at these prices, in the base currency; above zero, at most 1e18.
    received_ms
        When the feed received the quote, by the feed's clock, ms; 0 if the producer doesn't say. The broker's append
        time is used if it is earlier or if this is 0.
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

"""Trades, as every feed normalises them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Positive, Source, TimeMs


class Trade(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One trade on one source, as JSON on the topic ``trades``.

    Attributes
    ----------
    symbol
        What was traded, as ``BASE-QUOTE``: ``BTC-USDT``.
    source
        The exchange that reported it: ``binance``.
    id
        The source's own number for the trade, unique within source and symbol. Most sources count up by one.
    time_ms
        Event time: when the trade happened by the source's clock, ms since 1970 UTC.
    received_ms
        When the feed received the trade, by the feed's clock, ms; 0 if the producer doesn't say. The broker's append
        time is used if it is earlier or if this is 0.
    price, quantity
        In the quote currency and in the base currency; above zero, at most 1e18.
    side
        The aggressor's side: ``buy`` if the taker bought.
    """

    symbol: Name
    source: Source
    id: Id
    time_ms: TimeMs
    price: Positive
    quantity: Positive
    side: Literal["buy", "sell"]
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

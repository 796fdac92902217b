"""Trades, as every feed normalises them."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Positive, Source, TextId, TimeMs


class Trade(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One trade on one source, or several that the source reports as one, as JSON on the topic ``trades``.

    A source has one granularity: its records are either single trades or aggregates, under one source name.

    Attributes
    ----------
    symbol
        What was traded, as ``BASE-QUOTE``: ``BTC-USDT``.
    source
        The exchange that reported it: ``binance``.
    id
        The source's own id of the trade, unique within source and symbol: a number, which most sources count up by
        one, or a text such as a UUID. For an aggregate, the number of its first trade.
    last_id
        For an aggregate, the number of its last trade, less than 2^31 above ``id``; None for a single trade.
    sequence
        The source's own order of trades, None if it has none. Trades with equal event times are ordered by it, then by
        id.
    time_ms
        Event time: when the trade happened by the source's clock, ms since 1970 UTC.
    received_ms
        When the feed received the trade, by the feed's clock, ms; 0 if the producer doesn't say. The broker's append
        time is used if it is earlier or if this is 0.
    price, quantity
        In the quote currency and in the base currency; above zero, at most 1e18.
    side
        The aggressor's side: ``buy`` if the taker bought; None if the source doesn't say.
    """

    symbol: Name
    source: Source
    id: Id | TextId
    time_ms: TimeMs
    price: Positive
    quantity: Positive
    side: Literal["buy", "sell"] | None = None
    last_id: Id | None = None
    sequence: Id | None = None
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

    @property
    def newest_id(self) -> Id | TextId:
        """The id of its last trade, if it is an aggregate; else its own."""
        return self.id if self.last_id is None else self.last_id

"""Positions that an exchange has closed because their margin was used up."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Name, Positive, Source, TimeMs


class Liquidation(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """A liquidation, as JSON on the topic ``liquidations``.

    Attributes
    ----------
    symbol
        The perpetual: ``BTC-USDT-PERP``.
    source
        The exchange.
    time_ms
        Event time, ms since 1970 UTC.
    received_ms
        When the feed received it, by its own clock, ms; 0 if the producer doesn't say.
    side
        The side of the order that closes the position: ``sell`` if a long is liquidated.
    quantity
        In the base currency.
    price, price_is
        In the quote currency: the average price of the order (``average``), or the price at which the position's margin
        was used up (``bankruptcy``).
    is_sample
        True if the source leaves some liquidations out: their sum is then no total.
    """

    symbol: Name
    source: Source
    time_ms: TimeMs
    side: Literal["buy", "sell"]
    quantity: Positive
    price: Positive
    price_is: Literal["average", "bankruptcy"]
    is_sample: bool
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

    @property
    def id(self) -> int:
        """The event time: liquidations have no number of their own."""
        return self.time_ms

"""What exchanges say of a perpetual besides its trades and quotes."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Name, Positive, Source, TimeMs


class Perpetual(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """Some figures of a perpetual at one moment, as JSON on the topic ``perpetuals``.

    A source may tell each figure on its own, and only those that changed. What a record leaves out stays as it was.

    Attributes
    ----------
    symbol
        The perpetual: ``BTC-USDT-PERP``.
    source
        The exchange.
    time_ms
        When the source computed the figures, by its own clock, ms since 1970 UTC.
    received_ms
        When the feed received them, by its own clock, ms; 0 if the producer doesn't say.
    mark, index
        The mark price, by which the source liquidates, and the index of spot prices, in the quote currency.
    funding_rate
        What longs pay shorts at the next funding, as a fraction of the position's value, for one interval.
    funding_interval_hours
        The time between two fundings. It differs by symbol, and changes.
    next_funding_ms
        When the next funding is, ms since 1970 UTC.
    open_interest, open_interest_unit
        The size of all open positions, one side counted, and its unit: ``base`` for the base currency.
    """

    symbol: Name
    source: Source
    time_ms: TimeMs
    mark: Positive | None = None
    index: Positive | None = None
    funding_rate: Annotated[float, Meta(ge=-1e6, le=1e6)] | None = None
    funding_interval_hours: Positive | None = None
    next_funding_ms: TimeMs | None = None
    open_interest: Annotated[float, Meta(ge=0, le=1e18)] | None = None
    open_interest_unit: Literal["base", "contracts", "quote"] | None = None
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

    @property
    def id(self) -> int:
        """The event time: such figures have no number of their own."""
        return self.time_ms

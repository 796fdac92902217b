"""Instruments: what a source trades, as records of the topic ``instruments``. The last record of a key is valid."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.json import Encoder

from tickertape.schemas.fields import Name, Source, TimeMs

#: A number above zero as decimal text, without exponent and without zeros at its end; empty: the source doesn't say.
Decimal = Annotated[str, Meta(pattern=r"^((?=.*[1-9])[0-9]{1,120}(\.[0-9]{1,130})?)?$")]
Asset = Annotated[str, Meta(min_length=1, max_length=30)]
Kind: TypeAlias = Literal["spot", "perpetual", "future"]
Status: TypeAlias = Literal["trading", "limited", "halted", "pending", "closed", "unknown"]


class Instrument(Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One instrument of one source.

    Attributes
    ----------
    symbol
        Our name: ``BTC-USDT``, ``BTC-USDT-PERP``, ``BTC-USDT-20261225``.
    source
        The source, as in its events: ``okx``.
    name
        The source's own name: ``BTC-USDT-SWAP``.
    base, quote
        What is bought and sold, and what the price is in.
    kind
        ``spot``, ``perpetual``, or ``future``, which expires.
    status
        ``trading``; ``limited``: orders of some kinds only; ``halted``: no trades for now; ``pending``: no trades yet;
        ``closed``: no trades any more; ``unknown``: a word of the source that we don't know.
    source_status
        The source's own words for it: ``post_only``.
    tick, step
        The steps of prices and of quantities; the step is in the source's own unit of quantity.
    contract_value
        How much one unit of the source's quantity is: in the base currency, or in the quote currency if it is inverse.
    inverse
        True if a unit is worth a fixed amount of the quote currency. How much of the base it is depends on the price.
    expires_ms
        When a future expires, ms since 1970 UTC; None for other kinds.
    also
        Other names by which the source calls it, or is asked for it: ``XXBTZUSD``.
    """

    symbol: Name
    source: Source
    name: Name
    base: Asset
    quote: Asset
    kind: Kind
    status: Status
    source_status: Annotated[str, Meta(max_length=64)] = ""
    tick: Decimal = ""
    step: Decimal = ""
    contract_value: Annotated[Decimal, Meta(min_length=1)] = "1"
    inverse: bool = False
    expires_ms: TimeMs | None = None
    also: tuple[Name, ...] = ()


_encode = Encoder().encode


def instrument_key(instrument: Instrument) -> bytes:
    return f"{instrument.symbol}|{instrument.source}".encode()


def instrument_value(instrument: Instrument) -> bytes:
    return _encode(instrument)

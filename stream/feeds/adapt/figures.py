"""Figures of perpetuals, and liquidations."""

from typing import Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.stream.feeds.define.other import Other

# The figures of a `Perpetual`.
_NAMES = ("mark", "index", "funding_rate", "funding_interval_hours", "next_funding_ms", "open_interest")


def perpetual_of(raw: Struct, symbol: str, source: str, time_ms: int, received_ms: int) -> Perpetual | Other:
    """Return the figures of a message; an `Other` if it has none.

    Parameters
    ----------
    raw
        The message. Its figures are texts, under the names that they have in a `Perpetual`; empty or left out if there
        are none. Open interest is in the base currency.
    symbol, source, time_ms, received_ms
        See `Perpetual`.

    Raises
    ------
    ValueError
        A figure is no number, or out of bounds.
    """
    found: dict[str, str | int] = {name: text for name in _NAMES if (text := getattr(raw, name, ""))}
    if not found:
        return Other("no figures")
    if "open_interest" in found:
        found["open_interest_unit"] = "base"
    found |= {"symbol": symbol, "source": source, "time_ms": time_ms, "received_ms": received_ms}
    return msgspec.convert(found, Perpetual, strict=False)


def liquidation_of(
    symbol: str,
    source: str,
    time_ms: int,
    received_ms: int,
    side: Literal["buy", "sell"],
    quantity: float,
    price: float,
    *,
    price_is: Literal["average", "bankruptcy"],
    is_sample: bool,
) -> Liquidation:
    """Return a `Liquidation` from its fields."""
    return Liquidation(
        symbol=symbol,
        source=source,
        time_ms=time_ms,
        received_ms=received_ms,
        side=side,
        quantity=quantity,
        price=price,
        price_is=price_is,
        is_sample=is_sample,
    )

"""Figures of perpetuals, and liquidations."""

from typing import Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.stream.feeds.define.other import Other


class Figures(Struct, kw_only=True):
    """Figures in a message, as texts; empty where there is none. An adapter's Struct renames them as its source does.

    The attributes are those of a `Perpetual`.
    """

    mark: str = ""
    index: str = ""
    funding_rate: str = ""
    funding_interval_hours: str = ""
    next_funding_ms: str = ""
    open_interest: str = ""


_NAMES = Figures.__struct_fields__


def perpetual_of(figures: Figures, symbol: str, source: str, time_ms: int, received_ms: int) -> Perpetual | Other:
    """Return a record of figures; an `Other` if there are none.

    Raises
    ------
    ValueError
        A figure is no number, or out of bounds.
    """
    found: dict[str, str | int] = {name: text for name in _NAMES if (text := getattr(figures, name))}
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

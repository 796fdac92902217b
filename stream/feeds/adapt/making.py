"""Makes events and changes of books from what messages say."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import Struct

from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.define.change import Change, Level
from tickertape.stream.feeds.define.other import Other

# The figures of a `Perpetual`.
_NAMES = ("mark", "index", "funding_rate", "funding_interval_hours", "next_funding_ms", "open_interest")


def trade_of(
    symbol: str,
    source: str,
    number: int | str,
    time_ms: int,
    received_ms: int,
    price: wire.Number,
    quantity: wire.Number,
    side: wire.Side | None,
    last_id: int | None = None,
    sequence: int | None = None,
) -> Trade:
    """Return a `Trade` from its fields; an aggregate's number is that of its first trade.

    Raises
    ------
    ValueError
        The last number of an aggregate is before the first, or too far behind it.
    """
    if isinstance(number, int) and last_id is not None:
        if not 0 <= last_id - number < 1 << 31:
            raise ValueError(f"an aggregate of the trades {number} to {last_id}")
        if last_id == number:
            last_id = None
    if isinstance(price, Decimal):
        for each in (price, quantity):
            wire.check(each)  # type: ignore[arg-type]  # they are of one type
    return Trade(
        symbol=symbol,
        source=source,
        id=number,
        last_id=last_id,
        sequence=sequence,
        time_ms=time_ms,
        price=price,  # type: ignore[arg-type]  # the JSON of a decimal has its digits
        quantity=quantity,  # type: ignore[arg-type]  # as above
        side=side,
        received_ms=received_ms,
    )


def quote_of(
    symbol: str,
    source: str,
    number: int,
    time_ms: int,
    received_ms: int,
    bid: wire.Number,
    bids: wire.Number,
    ask: wire.Number,
    asks: wire.Number,
) -> Quote | Other:
    """Return a `Quote` from its fields; if a side of its book is empty, an `Other`, as that is no quote."""
    if not (bid and bids and ask and asks):
        return Other("empty book")
    if isinstance(bid, Decimal):
        for each in (bid, bids, ask, asks):
            wire.check(each)  # type: ignore[arg-type]  # they are of one type
    return Quote(
        symbol=symbol,
        source=source,
        id=number,
        time_ms=time_ms,
        bid=bid,  # type: ignore[arg-type]  # as in `trade_of`
        bid_quantity=bids,  # type: ignore[arg-type]  # as in `trade_of`
        ask=ask,  # type: ignore[arg-type]  # as in `trade_of`
        ask_quantity=asks,  # type: ignore[arg-type]  # as in `trade_of`
        received_ms=received_ms,
    )


def change_of(
    symbol: str,
    source: str,
    time_ms: int,
    received_ms: int,
    bids: Sequence[Level],
    asks: Sequence[Level],
    *,
    is_snapshot: bool,
    **numbers: int | None,
) -> Change:
    """Return a `Change` from its fields.

    Raises
    ------
    ValueError
        A level is invalid; see `wire.levels`.
    """
    return Change(
        symbol=symbol,
        source=source,
        time_ms=time_ms,
        received_ms=received_ms,
        is_snapshot=is_snapshot,
        bids=wire.levels(bids),
        asks=wire.levels(asks),
        **numbers,
    )


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
    side: wire.Side,
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

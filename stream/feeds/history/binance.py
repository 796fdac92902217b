"""Binance spot: trades by number, of any age."""

import time
from decimal import Decimal
from typing import Generic
from urllib.parse import quote

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.exchange import Exchange
from tickertape.stream.feeds.define.page import Get, Page

# Of the 6,000 a minute that an address has.
_WEIGHT = 25.0
_MOST = 1000


class _Trade(Struct, Generic[wire.N], rename="camel"):
    id: Id
    price: wire.N
    qty: wire.N
    time: wire.Time
    is_buyer_maker: bool


_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])


async def missed(source: Exchange, get: Get, symbol: str, first: int, last: int | None) -> Page:
    """Request trades from ``historicalTrades``; see `Source.missed`."""
    most = _MOST if last is None else min(_MOST, last - first + 1)
    name = quote(source.names.theirs(symbol))
    body = await get(f"{source.settings.history_url}?symbol={name}&fromId={first}&limit={most}", _WEIGHT)
    received_ms = time.time_ns() // 1_000_000
    trades = [
        making.trade_of(
            symbol,
            source.name,
            one.id,
            wire.in_ms(one.time),
            received_ms,
            one.price,
            one.qty,
            # If the buyer was the maker, the taker sold.
            "sell" if one.is_buyer_maker else "buy",
        )
        for one in _read[source.exact](body)
        if one.id >= first and (last is None or one.id <= last)
    ]
    trades.sort(key=making.number_of)
    return Page(trades, has_more=len(trades) == most and (last is None or making.number_of(trades[-1]) < last))

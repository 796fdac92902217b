"""Binance spot: trades by number, of any age, and files of each day's trades."""

from decimal import Decimal
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.rest import Asked, Daily, History, Row, Rows
from tickertape.stream.feeds.define.page import Get

# Of the 6,000 a minute that an address has.
_WEIGHT = 25.0
_PAGE = 1000


class _Trade(Struct, Generic[wire.N], rename="camel"):
    id: Id
    price: wire.N
    qty: wire.N
    time: wire.Time
    is_buyer_maker: bool


_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])


async def _asked(asked: Asked, get: Get) -> Rows:
    most = asked.most(_PAGE)
    body = await get(f"{asked.url}?symbol={asked.name}&fromId={asked.first}&limit={most}", _WEIGHT)
    found = _read[asked.exact](body)
    # If the buyer was the maker, the taker sold.
    rows = [
        Row(one.id, wire.in_ms(one.time), one.price, one.qty, "sell" if one.is_buyer_maker else "buy") for one in found
    ]
    newest = max((one.number for one in rows), default=asked.first)
    return Rows(rows, has_more=len(rows) == most and (asked.last is None or newest < asked.last))


HISTORY = History("https://api.binance.com/api/v3/historicalTrades", _asked)
# https://github.com/binance/binance-public-data
DAILY = Daily("https://data.binance.vision", "data/spot/daily/trades/{name}/{name}-trades-{day}.zip", "binance-csv")

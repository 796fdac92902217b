"""Coinbase Exchange: trades by number, of any age. Coinbase Advanced has the same trades under the same numbers."""

from decimal import Decimal
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.rest import Asked, History, Row, Rows
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.history.downwards import downwards

_PAGE = 1000


class _Trade(Struct, Generic[wire.N]):
    trade_id: Id
    price: wire.N
    size: wire.N
    side: wire.Side
    time: wire.Moment


_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])


async def _asked(asked: Asked, get: Get) -> Rows:
    async def older(end: str) -> list[Row]:
        found = _read[asked.exact](await get(f"{asked.url}/{asked.name}/trades?limit={_PAGE}{end}", 1.0))
        # The side is that of the maker, whose order was in the book.
        return [
            Row(one.trade_id, wire.ms_of(one.time), one.price, one.size, "buy" if one.side == "sell" else "sell")
            for one in found
        ]

    return await downwards(asked, _PAGE, older)


HISTORY = History("https://api.exchange.coinbase.com/products", _asked)

"""Coinbase Exchange: trades by number, of any age. Coinbase Advanced has the same trades under the same numbers."""

from decimal import Decimal
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.exchange import Asked, History, Row, Rows
from tickertape.stream.feeds.define.page import Get

_PAGE = 1000


class _Trade(Struct, Generic[wire.N]):
    trade_id: Id
    price: wire.N
    size: wire.N
    side: wire.Side
    time: wire.Moment


_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])


async def _asked(asked: Asked, get: Get) -> Rows:
    """Request trades older than a number: the answer has those just below it, so a gap's own end decides the page.

    Where the end isn't known, the newest are asked for first.
    """
    url = f"{asked.url}/{asked.name}/trades?limit={_PAGE}"
    if asked.last is None:
        rows = _rows(await get(url, 1.0), exact=asked.exact)
        if not rows or min(rows).number <= asked.first:
            return Rows(rows, has_more=False)
    end = asked.first + asked.most(_PAGE)
    rows = _rows(await get(f"{url}&after={end}", 1.0), exact=asked.exact)
    return Rows(rows, has_more=asked.last is None or end <= asked.last)


def _rows(body: bytes, *, exact: bool) -> list[Row]:
    # The side is that of the maker, whose order was in the book.
    return [
        Row(one.trade_id, wire.ms_of(one.time), one.price, one.size, "buy" if one.side == "sell" else "sell")
        for one in _read[exact](body)
    ]


HISTORY = History("https://api.exchange.coinbase.com/products", _asked)

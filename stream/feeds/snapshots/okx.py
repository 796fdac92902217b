"""OKX, spot and swaps: 400 levels a side, which is what the stream covers too.

Its ``seqId`` is that of the stream: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-get-order-book
"""

import time
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tickertape.schemas.fields import Id, TimeMs
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.rest import Snapshots
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.page import Get

_LEVELS = 400


class _Level(Struct, array_like=True):
    price: wire.Text
    quantity: wire.Text


class _Book(Struct, rename="camel"):
    bids: list[_Level]
    asks: list[_Level]
    ts: TimeMs
    seq_id: Id


class _Answer(Struct):
    data: list[_Book] = []
    code: str = "0"
    msg: str = ""


_read = msgspec.json.Decoder(_Answer, strict=False).decode


async def _snapshot(get: Get, url: str, name: str, symbol: str, source: str) -> Change:
    answer = _read(await get(f"{url}?instId={quote(name, safe='')}&sz={_LEVELS}", 1.0))
    if answer.code != "0" or len(answer.data) != 1:
        raise InputError(f"{answer.code} {answer.msg[:200]}".strip())
    (book,) = answer.data
    bids, asks = ([(level.price, level.quantity) for level in side] for side in (book.bids, book.asks))
    of = symbol, source, book.ts, time.time_ns() // 1_000_000, bids, asks
    return making.change_of(*of, is_snapshot=True, last=book.seq_id)


BOOKS = Snapshots("https://www.okx.com/api/v5/market/books", _snapshot)

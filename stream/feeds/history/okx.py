"""OKX: trades by number, of the last three months."""

from decimal import Decimal
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.rest import Asked, History, Row, Rows
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.history.downwards import downwards

_PAGE = 100


class _Trade(Struct, Generic[wire.N], rename="camel"):
    trade_id: Id
    px: wire.N
    sz: wire.N
    side: wire.Side
    ts: wire.Time


class _Answer(Struct, Generic[wire.N]):
    data: list[_Trade[wire.N]]
    code: str = "0"
    msg: str = ""


_read = wire.decoders(_Answer[Positive], _Answer[Decimal])


async def _asked(asked: Asked, get: Get) -> Rows:
    async def older(end: str) -> list[Row]:
        body = await get(f"{asked.url}?instId={asked.name}&limit={_PAGE}&type=1{end}", 1.0)
        answer = _read[asked.exact](body)
        if answer.code != "0":
            raise ValueError(f"{answer.code} {answer.msg[:200]}")
        return [Row(one.trade_id, wire.in_ms(one.ts), one.px, one.sz, one.side) for one in answer.data]

    return await downwards(asked, _PAGE, older)


HISTORY = History("https://www.okx.com/api/v5/market/history-trades", _asked)

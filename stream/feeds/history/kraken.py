"""Kraken: trades by time, of any age.

It answers with the oldest first, each with its number, and says in ``last`` the time of the newest, in ns:
https://docs.kraken.com/api/docs/rest-api/get-recent-trades
"""

from decimal import Decimal
from typing import Generic, Literal

import msgspec
from msgspec import Raw, Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.rest import Asked, History, Row, Rows
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.history.onwards import onwards

_PAGE = 1000
_MS_NS = 1_000_000
_SIDES: dict[str, wire.Side] = {"b": "buy", "s": "sell"}


class _Trade(Struct, Generic[wire.N], array_like=True):
    price: wire.N
    volume: wire.N
    # Seconds: as a double they would have some 100 ns.
    time: Decimal
    side: Literal["b", "s"]
    order: str
    misc: str
    trade_id: Id


class _Answer(Struct):
    error: list[str] = []
    result: dict[str, Raw] = {}


_answer = msgspec.json.Decoder(_Answer).decode
_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])
_last = msgspec.json.Decoder(int, strict=False).decode


async def _asked(asked: Asked, get: Get) -> Rows:
    async def page(at: str) -> tuple[list[Row], str]:
        answer = _answer(await get(f"{asked.url}?pair={asked.name}&since={at}&count={_PAGE}", 1.0))
        if answer.error:
            why = ", ".join(answer.error)[:200]
            # A question that it can't answer; all else passes.
            raise InputError(why) if why.startswith("EQuery") else OSError(why)
        end = answer.result.pop("last", None)
        if end is None or len(answer.result) != 1:
            raise ValueError("an answer without the trades of one pair")
        last_ns = _last(end)
        # The pair may have another name in the answer.
        found = _read[asked.exact](*answer.result.values())
        rows = [
            Row(one.trade_id, wire.sane(int(one.time * 1000)), one.price, one.volume, _SIDES[one.side]) for one in found
        ]
        # It isn't said whether trades at this very time are among them, and there may be more of them than a page has.
        return rows, str(max(last_ns - 1, int(at))) if len(rows) >= _PAGE else ""

    return await onwards(asked, str(asked.since_ms * _MS_NS), page)


HISTORY = History("https://api.kraken.com/0/public/Trades", _asked, by_number=False)

"""Binance: single trades of spot by number, and files of each day's; aggregates of spot and of USD-M futures by time.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints and
https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Compressed-Aggregate-Trades-List
"""

import time
from decimal import Decimal
from typing import Generic

from msgspec import Struct

from tickertape.schemas.fields import Id, Positive
from tickertape.stream.feeds.adapt import wire
from tickertape.stream.feeds.adapt.rest import Asked, Daily, History, Row, Rows
from tickertape.stream.feeds.define.page import Get
from tickertape.stream.feeds.history.onwards import onwards

_WEIGHT = 25.0
_PAGE = 1000
# A window of time is shorter than an hour.
_WINDOW_MS = 3_600_000
# USD-M has the last two days. A minute less, as clocks differ.
_TWO_DAYS_MS = 48 * 3_600_000 - 60_000


class _Trade(Struct, Generic[wire.N], rename="camel"):
    id: Id
    price: wire.N
    qty: wire.N
    time: wire.Time
    is_buyer_maker: bool


class _Aggregate(Struct, Generic[wire.N]):
    a: Id
    f: Id
    l: Id  # noqa: E741 - Binance's name for it
    p: wire.N
    q: wire.N
    T: wire.Time
    m: bool


# If the buyer was the maker, the taker sold.
_SIDES: dict[bool, wire.Side] = {True: "sell", False: "buy"}
_read = wire.decoders(list[_Trade[Positive]], list[_Trade[Decimal]])
_read_aggregates = wire.decoders(list[_Aggregate[Positive]], list[_Aggregate[Decimal]])


async def _asked(asked: Asked, get: Get) -> Rows:
    most = asked.most(_PAGE)
    body = await get(f"{asked.url}?symbol={asked.name}&fromId={asked.first}&limit={most}", _WEIGHT)
    found = _read[asked.exact](body)
    rows = [Row(one.id, wire.in_ms(one.time), one.price, one.qty, _SIDES[one.is_buyer_maker]) for one in found]
    newest = max((one.number for one in rows), default=asked.first)
    return Rows(rows, has_more=len(rows) == most and (asked.last is None or newest < asked.last))


def _aggregates(own: str, weight: float, keeps_ms: int | None = None) -> History:
    """Return a history of aggregates. They have numbers of their own, beside those of their trades."""

    async def ask(asked: Asked, get: Get) -> Rows:
        async def page(at: str) -> tuple[list[Row], str]:
            by, _, number = at.partition("=")
            more = "" if by == "fromId" else f"&endTime={int(number) + _WINDOW_MS - 1}"
            found = _read_aggregates[asked.exact](
                await get(f"{asked.url}?symbol={asked.name}&limit={_PAGE}&{at}{more}", weight)
            )
            rows = [Row(one.f, wire.in_ms(one.T), one.p, one.q, _SIDES[one.m], one.l) for one in found]
            if len(rows) >= _PAGE:
                return rows, f"fromId={max(one.a for one in found) + 1}"
            following_ms = int(number) + _WINDOW_MS
            return rows, f"startTime={following_ms}" if more and following_ms <= time.time() * 1000 else ""

        since_ms = asked.since_ms
        if keeps_ms is not None:
            since_ms = max(since_ms, time.time_ns() // 1_000_000 - keeps_ms)
        return await onwards(asked, f"startTime={since_ms}", page)

    return History(own, ask, by_number=False)


SPOT_AGGREGATES = _aggregates("https://api.binance.com/api/v3/aggTrades", 4.0)
USDM = _aggregates("https://fapi.binance.com/fapi/v1/aggTrades", 20.0, _TWO_DAYS_MS)
# https://github.com/binance/binance-public-data
_DAILY = Daily("https://data.binance.vision", "data/spot/daily/trades/{name}/{name}-trades-{day}.zip", "binance-csv")
HISTORY = History("https://api.binance.com/api/v3/historicalTrades", _asked, daily=_DAILY)

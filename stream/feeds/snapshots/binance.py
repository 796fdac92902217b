"""Binance spot and USD-M: all levels that a request gives."""

import time
from urllib.parse import quote

import msgspec
from msgspec import Struct

from tickertape.schemas.fields import Id
from tickertape.stream.feeds.adapt import making, wire
from tickertape.stream.feeds.adapt.rest import Snapshots
from tickertape.stream.feeds.define.change import Change
from tickertape.stream.feeds.define.page import Get


class _Depth(Struct, rename="camel"):
    last_update_id: Id
    bids: wire.Levels
    asks: wire.Levels


_read = msgspec.json.Decoder(_Depth).decode


def _of(own: str, levels: int, weight: float) -> Snapshots:
    async def snapshot(get: Get, url: str, name: str, symbol: str, source: str) -> Change:
        found = _read(await get(f"{url}?symbol={quote(name, safe='')}&limit={levels}", weight))
        received_ms = time.time_ns() // 1_000_000
        # It has no time of its own that both markets give.
        of = symbol, source, received_ms, received_ms, found.bids, found.asks
        return making.change_of(*of, is_snapshot=True, last=found.last_update_id)

    return Snapshots(own, snapshot)


SPOT = _of("https://api.binance.com/api/v3/depth", 5000, 250.0)
USDM = _of("https://fapi.binance.com/fapi/v1/depth", 1000, 20.0)

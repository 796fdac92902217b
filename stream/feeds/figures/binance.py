"""Binance USD-M: open interest, and the interval of funding.

https://developers.binance.com/docs/derivatives/usds-margined-futures/market-data/rest-api/Open-Interest and
…/rest-api/Get-Funding-Rate-Info. Open interest is in the base currency.
"""

import math
import time
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import TimeMs
from tickertape.stream.feeds.adapt import making
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.page import Get

# How often open interest is asked for, and intervals, which change seldom.
POLL_SECONDS, _INTERVALS_SECONDS = 60.0, 3600.0
# Their list has only contracts whose interval was adjusted.
_USUAL_HOURS = 8


class _Interest(Struct, rename={"open_interest": "openInterest"}):
    time: TimeMs
    open_interest: str
    funding_interval_hours: str = ""


class _Interval(Struct, rename="camel"):
    symbol: str
    funding_interval_hours: Annotated[int, Meta(ge=1, le=24)]


_interest = msgspec.json.Decoder(_Interest).decode
_intervals = msgspec.json.Decoder(list[_Interval]).decode


class Figures:
    """Asks for the figures of one symbol after the other. Intervals are kept for an hour."""

    def __init__(self) -> None:
        self._hours: dict[str, int] = {}
        self._until = -math.inf

    async def asked(self, get: Get, url: str, name: str, symbol: str, source: str) -> Sequence[Event]:
        """Request the figures of a symbol.

        Parameters
        ----------
        get
            Requests an address.
        url
            The address below which they are.
        name, symbol, source
            The exchange's own name of the symbol, ours, and the source's name in records.
        """
        if (now := time.monotonic()) >= self._until:
            found = _intervals(await get(f"{url}/fundingInfo", 1.0))
            self._hours = {one.symbol: one.funding_interval_hours for one in found}
            self._until = now + _INTERVALS_SECONDS
        raw = _interest(await get(f"{url}/openInterest?symbol={quote(name, safe='')}", 1.0))
        raw.funding_interval_hours = str(self._hours.get(name, _USUAL_HOURS))
        event = making.perpetual_of(raw, symbol, source, raw.time, time.time_ns() // 1_000_000)
        return () if isinstance(event, Other) else (event,)

"""A source's history, asked page by page: again where that may help, and by time."""

import asyncio
import logging

import msgspec

from tickertape.schemas.trade import Trade
from tickertape.stream.errors import InputError
from tickertape.stream.feeds.define.page import Get, Page
from tickertape.stream.feeds.define.source import Source

log = logging.getLogger(__name__)

# What may help is tried so often; the pause doubles up to a minute. A host that is busy is waited for besides.
TRIES = 8
PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
# How many numbers are asked for at once: a page of most exchanges.
PAGE = 1000


class Asking:
    """One symbol of a source's history.

    Parameters
    ----------
    source
        A source that `refills`, ``by_number``.
    get
        Requests an address.
    symbol
        The symbol.

    Attributes
    ----------
    symbol
        As given.
    has_forgotten
        Whether the source was found to have no trades any more that are old enough.
    """

    def __init__(self, source: Source, get: Get, symbol: str) -> None:
        self._source = source
        self._get = get
        self.symbol = symbol
        self.has_forgotten = False

    async def page(self, first: int, last: int) -> list[Trade]:
        """Return trades from one number to another; those of a page if that has fewer, and none if there are none.

        Raises
        ------
        InputError
            The source refuses, or doesn't answer after several tries.
        """
        return (await self._ask(first, last)).trades

    async def since(self, first: int) -> Page:
        """Return the next trades from a number on, whatever their numbers.

        A page without trades has more if the source no longer has so old ones, and nothing more at the present.

        Raises
        ------
        InputError
            As above.
        """
        found = await self._ask(first, first + PAGE - 1)
        return found if found.trades else await self._ask(first, None)

    async def first_at(self, time_ms: int) -> int:
        """Return the number of the first trade at a time or later; that after the newest if there is none.

        Numbers rise with time, so it is found by halving, in some thirty requests.

        Raises
        ------
        InputError
            As above.
        """
        # All numbers below `low` are earlier; those from `high` on are not, or don't exist yet.
        low, high, step = 0, -1, 1
        # The first trade from `high` on, if there is one.
        first = -1
        while high < 0 or low < high:
            middle = low + step if high < 0 else (low + high) // 2
            found = await self.since(middle)
            if not found.trades and not found.has_more:
                high, first = middle, -1
                continue
            if not found.trades:
                self.has_forgotten = True
                low = middle + 1
            elif found.trades[0].time_ms >= time_ms:
                high, first = middle, number_of(found.trades[0])
                continue
            elif found.trades[-1].time_ms >= time_ms:
                return next(number_of(one) for one in found.trades if one.time_ms >= time_ms)
            else:
                low = last_of(found.trades[-1]) + 1
            step *= 2
        return low if first < 0 else first

    async def _ask(self, first: int, last: int | None) -> Page:
        pause_seconds, name = PAUSE_SECONDS, f"{self._source.name}: {self.symbol}"
        for left in reversed(range(TRIES)):
            try:
                # By number, no time is needed.
                return await self._source.missed(self._get, self.symbol, first, last, 0)
            except (OSError, ValueError, msgspec.MsgspecError, RecursionError) as error:
                if not left:
                    raise InputError(
                        f"{name}: can't ask for trades from id {first} on: {error}; run this again to go on from there"
                    ) from None
                log.warning("%s: can't ask for trades from id %d on, trying again: %s", name, first, error)
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")


def number_of(trade: Trade) -> int:
    """Return a trade's number; that of the first, if it is an aggregate.

    Raises
    ------
    InputError
        Its id is a text.
    """
    if isinstance(trade.id, str):
        raise InputError(
            f"{trade.source}: {trade.symbol}: id {trade.id!r} is no number, so nobody could go on after it; send such "
            "trades with `tickertape feed file --no-close`"
        )
    return trade.id


def last_of(trade: Trade) -> int:
    """Return a trade's number; that of the last, if it is an aggregate."""
    return number_of(trade) if trade.last_id is None else trade.last_id

"""Several symbols' trades as one sequence by event time, which never goes back for a source."""

import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from operator import attrgetter

from tickertape.schemas.trade import Trade

_time_ms = attrgetter("time_ms")


async def merged(each: Sequence[AsyncGenerator[list[Trade]]]) -> AsyncIterator[list[Trade]]:
    """Yield the trades of all by event time, with one batch of each in memory.

    Parameters
    ----------
    each
        The trades of each symbol, by event time, in batches that aren't empty.
    """
    try:
        async for batch in _merged(each):
            yield batch
    finally:
        for one in each:
            await one.aclose()


async def _merged(each: Sequence[AsyncGenerator[list[Trade]]]) -> AsyncIterator[list[Trade]]:
    waiting: dict[AsyncGenerator[list[Trade]], list[Trade]] = {}
    for one in each:
        if batch := await anext(one, None):
            waiting[one] = batch
    while waiting:
        # Up to there, nothing earlier can come of any.
        until_ms = min(batch[-1].time_ms for batch in waiting.values())
        ready = []
        for one, batch in list(waiting.items()):
            n = next((n for n, trade in enumerate(batch) if trade.time_ms > until_ms), len(batch))
            ready.append(batch[:n])
            waiting[one] = batch[n:]
        yield list(heapq.merge(*ready, key=_time_ms))
        for one in [one for one, batch in waiting.items() if not batch]:
            if batch := await anext(one, None):
                waiting[one] = batch
            else:
                del waiting[one]

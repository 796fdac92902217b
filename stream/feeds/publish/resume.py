"""Where a feed goes on after the last one ended, stored in the topic ``control``.

Of a source that resumes, a position is stored; of one that refills, the last trade of each symbol. Either is stored
once its events are acknowledged. A feed that is killed leaves a record some seconds old, and the events since then are
sent again. They count once, because a repeat has the same id and the same times: see docs/guarantees.md.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.refill.refill import Seen
from tickertape.stream.kafka.stores.control import write_complete, write_position

if TYPE_CHECKING:
    from tickertape.stream.feeds.live.live import Live

KEEP_SECONDS = 10.0


class Stored(Protocol):
    """What was stored, as `tickertape.stream.kafka.stores.control.Control` reads it."""

    def position(self, source: str) -> int: ...

    def complete(self, source: str) -> dict[str, tuple[int, int]]: ...


@asynccontextmanager
async def resumed(live: "Live", records: Records, stored: Stored) -> AsyncIterator[None]:
    """Make a source go on from what is stored, and store where it is while the block runs.

    That is stored a last time if the block ends without an error.

    Raises
    ------
    BrokerError
        What is stored can't be read, or the last record was not delivered.
    """
    source, filling = live.source, live.filling
    if not source.resumes and filling is None:
        yield
        return
    if source.resumes:
        live.position = live.handed_over = stored.position(source.name)
    if filling is not None:
        live.resume({symbol: Seen(*seen) for symbol, seen in stored.complete(source.name).items()})
    keeping = asyncio.create_task(_keep(live, records))
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    await _put(live, records)


async def _keep(live: "Live", records: Records) -> None:
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        await _put(live, records)


async def _put(live: "Live", records: Records) -> None:
    name, at = live.source.name, live.handed_over
    complete = await live.complete()
    if at or complete:
        # The flush acknowledges all events up to there.
        await records.flush()
    if at:
        write_position(records, name, at)
    if complete:
        write_complete(records, name, {symbol: (seen.id, seen.time_ms) for symbol, seen in complete.items()})

"""How far a source that can resume has been sent, kept in the topic ``control``: a feed goes on where the last ended.

What is kept is acknowledged: a feed that is killed leaves the position of some seconds before, and what it sent since
comes again. That counts once (law 8), for a repeat has the same id and the same times.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from tickertape.stream.feeds.publish.channel import Records
from tickertape.stream.kafka.stores.control import write_position

if TYPE_CHECKING:
    from tickertape.stream.feeds.live.live import Live

KEEP_SECONDS = 10.0


class Positions(Protocol):
    """Where positions are; `tickertape.stream.kafka.stores.control.Control` is one."""

    def position(self, source: str) -> int: ...


@asynccontextmanager
async def resumed(live: "Live", records: Records, positions: Positions) -> AsyncIterator[None]:
    """Have a source go on from where it was, and keep how far it is while the block runs, and when it ends well.

    Raises
    ------
    BrokerError
        What is kept can't be read, or the end of it was not delivered.
    """
    if not live.source.resumes:
        yield
        return
    live.position = live.handed_over = positions.position(live.source.name)
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
    at = live.handed_over
    if at:
        # Whatever is on the way is before it.
        await records.flush()
        write_position(records, live.source.name, at)

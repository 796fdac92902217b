"""Positions of sources that resume, stored in the topic ``control``: a feed resumes where the last one ended.

A position is stored once its events are acknowledged. A feed that is killed leaves a position some seconds old, and
the events since then are sent again. They count once, because a repeat has the same id and the same times: see
docs/guarantees.md.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.kafka.stores.control import write_position

if TYPE_CHECKING:
    from tickertape.stream.feeds.live.live import Live

KEEP_SECONDS = 10.0


class Positions(Protocol):
    """The stored positions, such as those of `tickertape.stream.kafka.stores.control.Control`."""

    def position(self, source: str) -> int: ...


@asynccontextmanager
async def resumed(live: "Live", records: Records, positions: Positions) -> AsyncIterator[None]:
    """Make a source resume from its stored position, and store its position while the block runs.

    The last position is stored if the block ends without an error.

    Raises
    ------
    BrokerError
        The position can't be read, or the last one was not delivered.
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
        # The flush acknowledges all events up to this position.
        await records.flush()
        write_position(records, live.source.name, at)

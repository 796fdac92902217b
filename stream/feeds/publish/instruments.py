"""The instruments of a feed, published on the topic ``instruments`` when it connects."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tickertape.schemas.instrument import Instrument, instrument_key, instrument_value
from tickertape.schemas.topics import INSTRUMENTS
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients.producer import Producer

log = logging.getLogger(__name__)

DELIVERY_SECONDS = 30.0
# A feed that ends waits this long for what isn't published yet.
LAST_CHANCE_SECONDS = 2.0


@asynccontextmanager
async def announced(connection: Connection, instruments: Sequence[Instrument]) -> AsyncIterator[None]:
    """Publish instruments while the block runs, each time all of them: a topic that is compacted keeps one of a key.

    They have a producer of their own. So a Kafka without the topic, or without the right to write to it, such as that
    of an earlier version, gets the events all the same, and a log line says what is missing.
    """
    if not instruments:
        yield
        return
    task = asyncio.create_task(_publish(connection, instruments))
    try:
        yield
    finally:
        try:
            await asyncio.wait((task,), timeout=LAST_CHANCE_SECONDS)
        finally:
            task.cancel()
            await asyncio.wait((task,))
        if not task.cancelled():
            task.result()


async def _publish(connection: Connection, instruments: Sequence[Instrument]) -> None:
    try:
        async with Producer(connection, delivery_seconds=DELIVERY_SECONDS) as producer:
            await producer.partitions(INSTRUMENTS.name)
            for one in instruments:
                producer.send(INSTRUMENTS.name, 0, instrument_key(one), instrument_value(one))
            await producer.flush()
    except BrokerError as error:
        log.warning("the instruments are not published, but the events are: %s", error)

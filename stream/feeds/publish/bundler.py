"""Collects the events of each partition for a few milliseconds, and sends them as one record."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from msgspec.json import Encoder

from tickertape.schemas.bundle import MOST_EVENTS, to_headers
from tickertape.schemas.events import Event
from tickertape.stream.bundles.packing import pack
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish.records import Records

# A larger bundle is sent in halves. It is half a producer's batch, and far below what readers accept.
MOST_BYTES = 256 << 10

# A price may be a decimal, whose digits are all written.
_encode = Encoder(decimal_format="number").encode


class Bundler:
    """Stands between a `Publisher` and its records.

    Events are sent once the first of their partition has waited for some time, or when there are `MOST_EVENTS` of them.
    A single event is sent as JSON. A bundle has no key: its events have keys of their own, and its partition is theirs.

    Any other record, such as a heartbeat, is sent behind the events of its partition that were put before it. So what
    a heartbeat says of earlier events stays true.

    Parameters
    ----------
    records
        Where records are sent to.
    seconds
        How long the first event of a partition waits for others.
    """

    def __init__(self, records: Records, seconds: float) -> None:
        self._records = records
        self._seconds = seconds
        self._waiting: dict[tuple[str, int], list[tuple[bytes, Event]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, topic: str, partition: int, key: bytes, event: Event) -> None:
        """Add an event. All events of a topic are of one kind.

        Raises
        ------
        BrokerError
            An earlier record was not delivered.
        """
        waiting = self._waiting.setdefault((topic, partition), [])
        waiting.append((key, event))
        if len(waiting) >= MOST_EVENTS:
            self._send(topic, partition)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._send_on_time)

    def send(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Send a record behind the events of its partition."""
        self._send(topic, partition)
        self._records.send(topic, partition, key, value, headers)

    async def room(self) -> None:
        await self._records.room()

    async def flush(self) -> None:
        """Send all events, and return when everything is acknowledged."""
        self._send_all()
        await self._records.flush()

    async def partitions(self, topic: str) -> int:
        return await self._records.partitions(topic)

    def _send_on_time(self) -> None:
        # The producer has failed for good, and says so again to whoever sends, waits or flushes next.
        with suppress(BrokerError):
            self._send_all()

    def _send_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for topic, partition in list(self._waiting):
            self._send(topic, partition)

    def _send(self, topic: str, partition: int) -> None:
        if waiting := self._waiting.pop((topic, partition), None):
            self._bundle(topic, partition, waiting)

    def _bundle(self, topic: str, partition: int, events: list[tuple[bytes, Event]]) -> None:
        if len(events) == 1:
            ((key, event),) = events
            self._records.send(topic, partition, key, _encode(event))
            return
        value = pack([event for _, event in events])
        if len(value) > MOST_BYTES:
            half = len(events) // 2
            self._bundle(topic, partition, events[:half])
            self._bundle(topic, partition, events[half:])
            return
        self._records.send(topic, partition, None, value, to_headers(len(events)))

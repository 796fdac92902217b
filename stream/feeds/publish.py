"""Every feed's way into Kafka: records partitioned by symbol, and heartbeats to every partition."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from msgspec.json import Encoder

from schemas.heartbeat import Heartbeat, to_headers
from schemas.topics import HOUR_MS, TRADES
from schemas.trade import Trade
from stream.errors import BrokerError
from stream.kafka.partition import partition_for

# Bars of an hour are the longest: a lane opens before the first one that its events can fall into, and is closed past
# the last one's end by as much again, which is more than any lateness.
LONGEST_BAR_MS = HOUR_MS

_encode = Encoder().encode

Batches = AsyncIterator[Sequence[Trade]]


class Records(Protocol):
    """Where a publisher puts records; `stream.kafka.producer.Producer` is one."""

    def put(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None: ...

    async def room(self) -> None: ...

    async def flush(self) -> None: ...

    async def partitions(self, topic: str) -> int: ...


class Publisher:
    """Publishes trades, in the order given, and says how far each source is.

    A symbol's partition follows from its name and the number of partitions when the first trade is published, and
    stays. A **heartbeat** says that all of a source before its time is sent, so it may only follow what it speaks for:

    - before a source's first event, to every partition: an hour before that event. From then on each partition knows
      that the source exists, and waits for it;
    - every ``heartbeat_seconds``, to every partition, those added meanwhile too: the newest event time so far, less
      ``disorder_ms``;
    - at the end of an input that is complete, to every partition: an hour after the end of the hour of the last event,
      so that every bar closes. More of the same source before that time would be late.

    One publisher feeds a source at a time, or several whose event times keep within the topic's lateness.

    Parameters
    ----------
    records
        Where to.
    topic
        The topic's name.
    heartbeat_seconds
        Between heartbeats, by the wall clock.
    disorder_ms
        How far behind a source's newest event a later one may be. What the topic's lateness covers need not be here.
    """

    def __init__(
        self,
        records: Records,
        *,
        topic: str = TRADES.name,
        heartbeat_seconds: float = 1.0,
        disorder_ms: int = 0,
    ) -> None:
        self._records = records
        self._topic = topic
        self._heartbeat_seconds = heartbeat_seconds
        self._disorder_ms = disorder_ms
        self._partitions = 0
        self._places: dict[str, tuple[int, bytes]] = {}
        self._keyed_partitions = 0
        self._newest_ms: dict[str, int] = {}
        self.events = 0

    @property
    def newest_ms(self) -> int:
        """The newest event time so far, ms; 0 before the first."""
        return max(self._newest_ms.values(), default=0)

    async def feed(self, batches: Batches, *, close: bool) -> None:
        """Publish all there is, with heartbeats, and return when it is acknowledged.

        Where it is cancelled, or ``batches`` fails, all that was taken from it is still sent.

        Parameters
        ----------
        batches
            Trades, in the order in which they go.
        close
            True where the input is complete when it ends: the last heartbeat closes every bar.

        Raises
        ------
        BrokerError
            There is no such topic, or something was not delivered.
        """
        await self._start()
        try:
            await self._feed(batches)
        except BrokerError:
            raise
        except BaseException:
            self._beat()
            await self._records.flush()
            raise
        if close:
            self._close()
        else:
            self._beat()
        await self._records.flush()

    async def publish(self, trades: Iterable[Trade]) -> None:
        """Put some trades, and wait where the buffer is full; the caller sees to heartbeats with `feed`, or has none.

        Raises
        ------
        BrokerError
            There is no such topic, or something was not delivered.
        """
        await self._start()
        self._put(trades)
        await self._records.room()
        # Sends go on in the background; a source that never waits would starve them.
        await asyncio.sleep(0)

    async def _start(self) -> None:
        if not self._partitions:
            self._partitions = self._keyed_partitions = await self._records.partitions(self._topic)

    def _put(self, trades: Iterable[Trade]) -> None:
        put, topic, places, newest_ms = self._records.put, self._topic, self._places, self._newest_ms
        events = 0
        for trade in trades:
            if trade.time_ms > newest_ms.get(trade.source, 0):
                if trade.source not in newest_ms:
                    self._to_all(trade.source, trade.time_ms - LONGEST_BAR_MS - self._disorder_ms)
                newest_ms[trade.source] = trade.time_ms
            place = places.get(trade.symbol)
            if place is None:
                symbol = trade.symbol
                place = places[symbol] = partition_for(symbol, self._keyed_partitions), symbol.encode()
            put(topic, place[0], place[1], _encode(trade))
            events += 1
        self.events += events

    async def _feed(self, batches: Batches) -> None:
        feeding = asyncio.create_task(self._publish_all(batches))
        beating = asyncio.create_task(self._beat_on())
        try:
            # Heartbeats don't end, but they fail first where a source is quiet and Kafka is gone.
            done, _ = await asyncio.wait((feeding, beating), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (feeding, beating):
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _publish_all(self, batches: Batches) -> None:
        async with aclosing(batches) as open_batches:  # type: ignore[type-var]  # an iterator that can't be closed fails here
            async for trades in open_batches:
                await self.publish(trades)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            self._partitions = await self._records.partitions(self._topic)
            self._beat()

    def _beat(self) -> None:
        for source, time_ms in self._newest_ms.items():
            self._to_all(source, time_ms - self._disorder_ms)

    def _close(self) -> None:
        for source, time_ms in self._newest_ms.items():
            bar_end_ms = (time_ms // LONGEST_BAR_MS + 1) * LONGEST_BAR_MS
            self._to_all(source, bar_end_ms + LONGEST_BAR_MS)

    def _to_all(self, source: str, time_ms: int) -> None:
        headers = to_headers(Heartbeat(source, time_ms))
        for partition in range(self._partitions):
            self._records.put(self._topic, partition, None, None, headers)

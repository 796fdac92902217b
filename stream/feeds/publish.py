"""Every feed's way into Kafka: records partitioned by symbol, and heartbeats to every partition."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from msgspec.json import Encoder

from schemas.control import Step
from schemas.heartbeat import Heartbeat, to_headers
from schemas.topics import HOUR_MS, TRADES
from schemas.trade import Trade
from stream.errors import BrokerError
from stream.feeds.routing import Routing
from stream.metrics import FEED_NEWEST, FEED_SENT

log = logging.getLogger(__name__)

# Bars of an hour are the longest: a lane opens before the first one that its events can fall into, and is closed past
# the last one's end by as much again, which is more than any lateness.
LONGEST_BAR_MS = HOUR_MS
# Partitions are there before the schedule speaks of them; metadata is two seconds old at most.
APPEAR_SECONDS = 10.0

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


class Schedules(Protocol):
    """What says how many partitions feeds use; `stream.kafka.control.Control` is one."""

    async def sync(self) -> None: ...

    async def change(self) -> set[bytes]: ...

    def steps(self, topic: str) -> tuple[Step, ...]: ...


class Publisher:
    """Publishes trades, in the order given, and says how far each source is.

    An event's partition follows from its symbol and from how many partitions the schedule has for its event time: see
    `Routing`. A new step of the schedule is told to every partition at once, by a heartbeat that carries the number of
    partitions, before any event that it goes for: who reads of such an event time knows of the partitions.

    A **heartbeat** says that all of a source before its time is sent, so it may only follow what it speaks for:

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
    control
        Where the schedule is. Without it, or while it has none, all partitions are used that there were at the start.
    spread
        By symbol: over how many partitions its events are spread, for one that is too hot for one. It is to be the same
        whenever a feed sends an event again.
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
        control: Schedules | None = None,
        spread: Mapping[str, int] | None = None,
        heartbeat_seconds: float = 1.0,
        disorder_ms: int = 0,
    ) -> None:
        self._records = records
        self._topic = topic
        self._heartbeat_seconds = heartbeat_seconds
        self._disorder_ms = disorder_ms
        self._control = control
        self._spread = spread or {}
        self._partitions = 0
        self._routing: Routing | None = None
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
            There is no such topic, it lacks partitions that the schedule has, or something was not delivered.
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
        self._put(trades, await self._start())
        await self._records.room()
        # Sends go on in the background; a source that never waits would starve them.
        await asyncio.sleep(0)

    async def _start(self) -> Routing:
        if self._routing is None:
            self._partitions = await self._records.partitions(self._topic)
            steps: tuple[Step, ...] = ()
            if self._control is not None:
                # In this order: where there is no schedule, `scale` writes one before it adds partitions.
                await self._control.sync()
                steps = self._control.steps(self._topic)
            if steps:
                await self._appear(steps[-1].partitions)
            self._routing = Routing(steps or [Step(0, self._partitions)], self._spread)
        return self._routing

    async def _appear(self, partitions: int) -> None:
        """Wait until there are so many partitions."""
        loop = asyncio.get_running_loop()
        until = loop.time() + APPEAR_SECONDS
        while self._partitions < partitions:
            if loop.time() > until:
                raise BrokerError(
                    f"{self._topic} has {self._partitions} partitions, and feeds are to use {partitions} by its "
                    f"schedule: run `tickertape scale {self._topic} --partitions {partitions}`"
                )
            await asyncio.sleep(0.1)
            self._partitions = max(self._partitions, await self._records.partitions(self._topic))

    def _put(self, trades: Iterable[Trade], routing: Routing) -> None:
        put, topic, newest_ms = self._records.put, self._topic, self._newest_ms
        era = routing.at(self.newest_ms)
        events = 0
        for trade in trades:
            if trade.time_ms > newest_ms.get(trade.source, 0):
                if trade.source not in newest_ms:
                    self._to_all(trade.source, trade.time_ms - LONGEST_BAR_MS - self._disorder_ms)
                newest_ms[trade.source] = trade.time_ms
            if not era.since_ms <= trade.time_ms < era.until_ms:
                era = routing.at(trade.time_ms)
            place = era.place(trade.symbol)
            partition = place.partition if place.over == 1 else era.one_of(place, trade.id)
            put(topic, partition, place.key, _encode(trade))
            events += 1
        self.events += events
        FEED_SENT.labels(topic).inc(events)

    async def _feed(self, batches: Batches) -> None:
        tasks = [asyncio.create_task(self._publish_all(batches)), asyncio.create_task(self._beat_on())]
        if self._control is not None:
            tasks.append(asyncio.create_task(self._follow(self._control)))
        try:
            # Heartbeats don't end, but they fail first where a source is quiet and Kafka is gone.
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
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
            self._partitions = max(self._partitions, await self._records.partitions(self._topic))
            self._beat()

    async def _follow(self, control: Schedules) -> None:
        while True:
            await control.change()
            routing, steps = await self._start(), control.steps(self._topic)
            if not steps or steps == routing.steps:
                continue
            await self._appear(steps[-1].partitions)
            # From here on nothing is awaited, so no event comes between.
            self._routing = routing.next(steps, self.newest_ms)
            self._beat()
            for step in set(self._routing.steps) - set(steps):
                log.warning(
                    "%s: events past a new step of the schedule were sent before it was heard of; %d partitions are "
                    "used from %d ms on",
                    self._topic,
                    step.partitions,
                    step.from_ms,
                )

    def _beat(self) -> None:
        for source, time_ms in self._newest_ms.items():
            self._to_all(source, time_ms - self._disorder_ms)
            FEED_NEWEST.labels(self._topic, source).set(time_ms / 1000)

    def _close(self) -> None:
        for source, time_ms in self._newest_ms.items():
            bar_end_ms = (time_ms // LONGEST_BAR_MS + 1) * LONGEST_BAR_MS
            self._to_all(source, bar_end_ms + LONGEST_BAR_MS)

    def _to_all(self, source: str, time_ms: int) -> None:
        headers = to_headers(Heartbeat(source, time_ms, self._partitions))
        for partition in range(self._partitions):
            self._records.put(self._topic, partition, None, None, headers)

"""Every feed's way into Kafka: events to the topic of their kind, and heartbeats to every partition of it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from tickertape.schemas.control import Step
from tickertape.schemas.events import TOPICS, Event
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish.channel import Channel, Records

Batches = AsyncIterator[Sequence[Event]]


class Schedules(Protocol):
    """What says how many partitions feeds use; `tickertape.stream.kafka.stores.control.Control` is one."""

    async def sync(self) -> None: ...

    async def change(self) -> set[bytes]: ...

    def steps(self, topic: str) -> tuple[Step, ...]: ...


class Publisher:
    """Publishes events, each kind to its own topic and in the order given, and says how far each source is.

    An event's partition follows from its key, a trade's or a quote's symbol, and from how many partitions the topic's
    schedule has for its event time: see `Routing`. A new step of the schedule is told to every partition at once, by a
    heartbeat that carries the number of partitions, before any event that it goes for: who reads of such an event time
    knows of the partitions.

    A **heartbeat** says that all of a source before its time is sent to that topic, so it may only follow what it
    speaks for:

    - before a source's first event of a kind, to every partition: an hour before that event. From then on each
      partition knows that the source exists, and waits for it;
    - every ``heartbeat_seconds``, to every partition, those added meanwhile too: the newest event time so far, less
      ``disorder_ms``;
    - at the end of an input that is complete, to every partition: that nothing follows, with the newest event time. All
      bars close. The source may go on later, from the next second on: bars that it goes on in are corrected.

    One publisher feeds a source at a time, or several whose event times keep within the topic's lateness.

    Parameters
    ----------
    records
        Where to.
    kinds
        Which kinds of events may come: their topics have to be there.
    control
        Where the schedules are. Without it, or where it has none for a topic, all partitions of that are used that
        there were at the start.
    spread
        By key: over how many partitions its events are spread, for one that is too hot for one. It is to be the same
        whenever a feed sends an event again.
    heartbeat_seconds
        Between heartbeats, by the wall clock.
    disorder_ms
        How far behind a source's newest event a later one may be. What the topic's lateness covers need not be here.
    skew_ms
        See `Settings`.
    """

    def __init__(
        self,
        records: Records,
        *,
        kinds: Collection[type] = tuple(TOPICS),
        control: Schedules | None = None,
        spread: Mapping[str, int] | None = None,
        heartbeat_seconds: float = 1.0,
        disorder_ms: int = 0,
        skew_ms: int = Settings().skew_ms,
    ) -> None:
        self._records = records
        self._heartbeat_seconds = heartbeat_seconds
        self._control = control
        self._channels = {
            kind: Channel(records, TOPICS[kind], spread=spread or {}, disorder_ms=disorder_ms, skew_ms=skew_ms)
            for kind in kinds
        }
        self._started = False

    @property
    def newest_ms(self) -> int:
        """The newest event time so far, ms; 0 before the first."""
        return max((channel.newest_ms for channel in self._channels.values()), default=0)

    @property
    def events(self) -> int:
        """How many it has been given, of all kinds."""
        return sum(channel.events for channel in self._channels.values())

    @property
    def sent(self) -> dict[str, int]:
        """How many by topic, of those that there were any for."""
        return {channel.topic.name: channel.events for channel in self._channels.values() if channel.events}

    async def feed(self, batches: Batches, *, close: bool) -> None:
        """Publish all there is, with heartbeats, and return when it is acknowledged.

        Where it is cancelled, or ``batches`` fails, all that was taken from it is still sent.

        Parameters
        ----------
        batches
            Events of any kinds, in the order in which they go.
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
            for channel in self._channels.values():
                channel.close()
        else:
            self._beat()
        await self._records.flush()

    async def publish(self, events: Sequence[Event]) -> None:
        """Put some events, and wait where the buffer is full; the caller sees to heartbeats with `feed`, or has none.

        Raises
        ------
        BrokerError
            There is no such topic, or something was not delivered.
        """
        await self._start()
        kinds = set(map(type, events))
        # In no order of kinds: topics have none between them.
        for kind in kinds:
            mine = events if len(kinds) == 1 else [event for event in events if type(event) is kind]
            self._channels[kind].send(mine)
        await self._records.room()
        # Sends go on in the background; a source that never waits would starve them.
        await asyncio.sleep(0)

    async def _start(self) -> None:
        if self._started:
            return
        for channel in self._channels.values():
            await channel.look()
        # In this order: where there is no schedule, `scale` writes one before it adds partitions.
        if self._control is not None:
            await self._control.sync()
        for channel in self._channels.values():
            await channel.open(self._control.steps(channel.topic.name) if self._control is not None else ())
        self._started = True

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
            async for events in open_batches:
                await self.publish(events)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            for channel in self._channels.values():
                await channel.look()
            self._beat()

    async def _follow(self, control: Schedules) -> None:
        while True:
            await control.change()
            for channel in self._channels.values():
                await channel.follow(control.steps(channel.topic.name))

    def _beat(self) -> None:
        for channel in self._channels.values():
            channel.beat()

"""Publishing for every feed: events to the topic of their kind, and heartbeats to every partition of it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Protocol

from tickertape.schemas.control import Step
from tickertape.schemas.events import TOPICS, Event
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.publish.channel import Channel
from tickertape.stream.feeds.publish.records import Records

Batches = AsyncIterator[Sequence[Event]]


class Schedules(Protocol):
    """The schedules of topics, such as those of `tickertape.stream.kafka.stores.control.Control`."""

    async def sync(self) -> None: ...

    async def change(self) -> set[bytes]: ...

    def steps(self, topic: str) -> tuple[Step, ...]: ...


class Publisher:
    """Publishes events, each kind to its own topic and in the order given, with heartbeats.

    An event's partition follows from its key (of trades and quotes the symbol) and from the number of partitions that
    the topic's schedule has for its event time; see `Routing`. A new step of the schedule is announced to every
    partition at once, by a heartbeat with the number of partitions, before any event that the step applies to. So
    whoever reads such an event time knows the number of partitions.

    A **heartbeat** asserts that all events of a source before its time have been sent to the topic. So it is sent after
    the events that it covers, and always to every partition:

    - Before a source's first event of a kind: the time of that event less an hour. From then on each partition has a
      lane of the source, and waits for it.
    - Every ``heartbeat_seconds``, also to partitions added meanwhile: the newest event time less ``disorder_ms``.
    - At the end of a complete input: an end marker with the newest event time. All bars close. The source may go on
      later, from the next second on; the bars in which it goes on are corrected.

    A source has one publisher at a time, or several whose event times differ by no more than the topic's lateness.

    Parameters
    ----------
    records
        Where records are sent to.
    kinds
        The kinds of events that may come. Their topics must exist.
    control
        The schedules. If it is None, or has no schedule for a topic, the topic's partitions at the start are used.
    spread
        By key: the number of partitions over which its events are spread, for a key too hot for one partition. It must
        be the same whenever a feed sends an event again.
    heartbeat_seconds
        The time between heartbeats, by the wall clock.
    disorder_ms
        How far behind a source's newest event a later one may be, ms. It need not include the topic's lateness.
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
        """The newest event time that counts, ms; 0 before the first event."""
        return max((channel.newest_ms for channel in self._channels.values()), default=0)

    @property
    def events(self) -> int:
        """The number of events sent, of all kinds."""
        return sum(channel.events for channel in self._channels.values())

    @property
    def sent(self) -> dict[str, int]:
        """The number of events sent by topic, without topics that had none."""
        return {channel.topic.name: channel.events for channel in self._channels.values() if channel.events}

    async def feed(self, batches: Batches, *, close: bool) -> None:
        """Publish all events with heartbeats, and return once everything is acknowledged.

        If it is cancelled, or ``batches`` fails, all events taken from ``batches`` are still sent.

        Parameters
        ----------
        batches
            Events of any kinds, in the order in which to send them.
        close
            True if the input is complete when it ends: end markers then close every bar.

        Raises
        ------
        BrokerError
            A topic doesn't exist or has fewer partitions than its schedule needs, or a record was not delivered.
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
        """Send some events, and wait if the buffer is full. Periodic heartbeats come only from `feed`.

        Raises
        ------
        BrokerError
            A topic doesn't exist, or a record was not delivered.
        """
        await self._start()
        kinds = set(map(type, events))
        # The order of kinds doesn't matter: there is no order between topics.
        for kind in kinds:
            mine = events if len(kinds) == 1 else [event for event in events if type(event) is kind]
            self._channels[kind].send(mine)
        await self._records.room()
        # The producer sends in the background; a source that never waits would starve it.
        await asyncio.sleep(0)

    async def _start(self) -> None:
        if self._started:
            return
        for channel in self._channels.values():
            await channel.look()
        # Schedules are read after partitions: if a topic has none, `scale` writes one before it adds partitions.
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
            # Heartbeats never end, but if a source is quiet and Kafka is gone, they are the first to fail.
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

"""A feed's way into one topic: which partition an event goes to, and heartbeats to all of them."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

from msgspec.json import Encoder

from tickertape.schemas.control import Step
from tickertape.schemas.events import Event
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import HOUR_MS, Topic
from tickertape.stream.errors import BrokerError
from tickertape.stream.feeds.clock import now_ms, receipt_ms
from tickertape.stream.feeds.publish.routing import Routing
from tickertape.stream.telemetry.metrics import FEED_NEWEST, FEED_SENT

log = logging.getLogger(__name__)

# Bars of an hour are the longest: a lane opens before the first one that its events can fall into.
LONGEST_BAR_MS = HOUR_MS
# Partitions are there before the schedule speaks of them; metadata is two seconds old at most.
APPEAR_SECONDS = 10.0

_encode = Encoder().encode


class Records(Protocol):
    """Where records are put; `tickertape.stream.kafka.clients.producer.Producer` is one."""

    def send(
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


class Channel:
    """One topic, as a feed sends to it; see `Publisher`, whose parameters these are.

    Parameters
    ----------
    records
        Where to.
    topic
        Which; the field that its ``key`` names says where an event goes.
    spread
        By key: over how many partitions its events are spread.
    disorder_ms
        How far behind a source's newest event a later one may be.
    skew_ms
        How far past its receipt an event's time may be; one further ahead is rejected, so heartbeats don't go by it.
    now_ms
        The time, ms.

    Attributes
    ----------
    topic
        As given.
    events
        How many it has been given.
    """

    def __init__(
        self,
        records: Records,
        topic: Topic,
        *,
        spread: Mapping[str, int],
        disorder_ms: int,
        skew_ms: int,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self.topic = topic
        self.events = 0
        self._records = records
        self._key = attrgetter(topic.key)
        self._spread = spread
        self._disorder_ms = disorder_ms
        self._skew_ms = skew_ms
        self._now_ms = now_ms
        self._partitions = 0
        self._routing: Routing
        # By source: what heartbeats may say. An event's time is its author's word for some, and may lie ahead.
        self._sure_ms: dict[str, int] = {}
        # And how far events that count have come, where the source's clock is ahead of ours.
        self._newest_ms: dict[str, int] = {}
        self._sent = FEED_SENT.labels(topic.name)

    @property
    def newest_ms(self) -> int:
        """The newest event time so far, ms; 0 before the first."""
        return max(self._newest_ms.values(), default=0)

    async def open(self, steps: Sequence[Step]) -> None:
        """Begin, with a schedule; where there is none, all partitions are used that have been seen.

        Raises
        ------
        BrokerError
            The topic lacks partitions that the schedule has.
        """
        if steps:
            await self._appear(steps[-1].partitions)
        self._routing = Routing(steps or [Step(0, self._partitions)], self._spread)

    async def look(self) -> None:
        """Find out how many partitions there are now.

        Raises
        ------
        BrokerError
            There is no such topic.
        """
        self._partitions = max(self._partitions, await self._records.partitions(self.topic.name))

    async def follow(self, steps: Sequence[Step]) -> None:
        """Go by a schedule, if it is another than so far.

        Raises
        ------
        BrokerError
            The topic lacks partitions that it has.
        """
        if not steps or tuple(steps) == self._routing.steps:
            return
        await self._appear(steps[-1].partitions)
        # From here on nothing is awaited, so no event comes between.
        self._routing = self._routing.next(steps, self.newest_ms)
        self.beat()
        for step in set(self._routing.steps) - set(steps):
            log.warning(
                "%s: events past a new step of the schedule were sent before it was heard of; %d partitions are used "
                "from %d ms on",
                self.topic.name,
                step.partitions,
                step.from_ms,
            )

    async def _appear(self, partitions: int) -> None:
        """Wait until there are so many partitions."""
        loop, name = asyncio.get_running_loop(), self.topic.name
        until = loop.time() + APPEAR_SECONDS
        while self._partitions < partitions:
            if loop.time() > until:
                raise BrokerError(
                    f"{name} has {self._partitions} partitions, and feeds are to use {partitions} by its schedule: "
                    f"run `tickertape scale {name} --partitions {partitions}`"
                )
            await asyncio.sleep(0.1)
            await self.look()

    def send(self, events: Sequence[Event]) -> None:
        """Put events of this topic's kind, in order."""
        put, topic, sure_ms = self._records.send, self.topic.name, self._sure_ms
        routing = self._routing
        era = routing.at(self.newest_ms)
        for event, key in zip(events, map(self._key, events), strict=True):
            time_ms = event.time_ms
            if time_ms > sure_ms.get(event.source, 0):
                self._advance(event.source, time_ms, event.received_ms)
            if not era.since_ms <= time_ms < era.until_ms:
                era = routing.at(time_ms)
            place = era[key]
            partition = place.partition if place.over == 1 else era.one_of(place, event.id)
            put(topic, partition, place.key, _encode(event))
        self.events += len(events)
        self._sent.inc(len(events))

    def _advance(self, source: str, time_ms: int, received_ms: int) -> None:
        had_ms = receipt_ms(received_ms, self._now_ms())
        if time_ms > had_ms + self._skew_ms:
            return
        # Ahead of its receipt an event says nothing of those to come.
        sure_ms = min(time_ms, had_ms)
        self._newest_ms[source] = max(self._newest_ms.get(source, 0), time_ms)
        if source not in self._sure_ms:
            self._to_all(source, sure_ms - LONGEST_BAR_MS - self._disorder_ms)
        self._sure_ms[source] = max(self._sure_ms.get(source, 0), sure_ms)

    def beat(self) -> None:
        """Say of each source how far it is."""
        for source, time_ms in self._sure_ms.items():
            self._to_all(source, time_ms - self._disorder_ms)
            FEED_NEWEST.labels(self.topic.name, source).set(time_ms / 1000)

    def close(self) -> None:
        """Say that nothing of each source follows: with that, every bar is over."""
        for source, time_ms in self._newest_ms.items():
            self._to_all(source, time_ms, end=True)

    def _to_all(self, source: str, time_ms: int, *, end: bool = False) -> None:
        headers = to_headers(Heartbeat(source, time_ms, self._partitions, end))
        for partition in range(self._partitions):
            self._records.send(self.topic.name, partition, None, None, headers)

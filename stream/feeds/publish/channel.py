"""One topic of a feed: the partition of each event, and heartbeats to all partitions."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec.json import Encoder

from tickertape.schemas.control import Step
from tickertape.schemas.events import Event
from tickertape.schemas.fields import id_number
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import HOUR_MS, Topic
from tickertape.stream.errors import BrokerError, counted
from tickertape.stream.feeds.clock import now_ms, receipt_ms
from tickertape.stream.feeds.publish.bundler import Bundler
from tickertape.stream.feeds.publish.records import Records
from tickertape.stream.feeds.publish.routing import Routing
from tickertape.stream.telemetry.feed_metrics import FEED_NEWEST, FEED_SENT

log = logging.getLogger(__name__)

# The longest bars are of an hour. A lane opens before the first bar that its events can fall into.
LONGEST_BAR_MS = HOUR_MS
# How long to wait for a schedule's partitions. They exist before the schedule names them, and metadata is at most two
# seconds old.
APPEAR_SECONDS = 10.0

# A price may be a decimal, whose digits are all written.
_encode = Encoder(decimal_format="number").encode


def _as_it_is(event: Event) -> Event:
    return event


class Channel:
    """One topic to which a feed sends; see `Publisher`, which has the same parameters.

    Parameters
    ----------
    records
        Where records are sent to; a `Bundler` gets the events themselves.
    topic
        The topic. Its ``key`` names the field of an event that decides the partition.
    spread
        By key: the number of partitions over which its events are spread.
    disorder_ms
        How far behind a source's newest event a later one may be, ms.
    skew_ms
        How far an event's time may be past its receipt, ms. Beyond that it is rejected, so heartbeats ignore it.
    now_ms
        Returns the current time, ms.

    Attributes
    ----------
    topic
        As given.
    events
        The number of events sent.
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
        # What takes an event, and the form in which it takes it.
        self._put: Callable[[str, int, bytes, Any], None] = records.send
        self._form: Callable[[Event], Any] = _encode
        if isinstance(records, Bundler):
            self._put, self._form = records.put, _as_it_is
        self._key = attrgetter(topic.key)
        self._spread = spread
        self._disorder_ms = disorder_ms
        self._skew_ms = skew_ms
        self._now_ms = now_ms
        self._partitions = 0
        self._routing: Routing
        # By source: the time for heartbeats. It is at most the receipt, as authors choose the times of some events.
        self._sure_ms: dict[str, int] = {}
        # By source: the newest event time that counts, which is higher if the source's clock is ahead of ours.
        self._newest_ms: dict[str, int] = {}
        self._sent = FEED_SENT.labels(topic.name)

    @property
    def newest_ms(self) -> int:
        """The newest event time that counts, ms; 0 before the first event."""
        return max(self._newest_ms.values(), default=0)

    async def open(self, steps: Sequence[Step]) -> None:
        """Begin with a schedule. If it is empty, use all partitions that `look` has found.

        Raises
        ------
        BrokerError
            The topic has fewer partitions than the schedule needs.
        """
        if steps:
            await self._appear(steps[-1].partitions)
        self._routing = Routing(steps or [Step(0, self._partitions)], self._spread)

    async def look(self) -> None:
        """Read the topic's present number of partitions.

        Raises
        ------
        BrokerError
            The topic doesn't exist.
        """
        self._partitions = max(self._partitions, await self._records.partitions(self.topic.name))

    async def follow(self, steps: Sequence[Step]) -> None:
        """Switch to a schedule if it differs from the present one.

        Raises
        ------
        BrokerError
            The topic has fewer partitions than the schedule needs.
        """
        if not steps or tuple(steps) == self._routing.steps:
            return
        await self._appear(steps[-1].partitions)
        # Nothing is awaited from here on, so no event is sent between the new routing and its heartbeat.
        self._routing = self._routing.next(steps, self.newest_ms)
        self.beat()
        for step in set(self._routing.steps) - set(steps):
            log.warning(
                "%s: a new step of the schedule was read after events past it were sent; %s used from %d ms on",
                self.topic.name,
                "1 partition is" if step.partitions == 1 else f"{step.partitions} partitions are",
                step.from_ms,
            )

    async def _appear(self, partitions: int) -> None:
        """Wait until the topic has so many partitions."""
        loop, name = asyncio.get_running_loop(), self.topic.name
        until = loop.time() + APPEAR_SECONDS
        while self._partitions < partitions:
            if loop.time() > until:
                raise BrokerError(
                    f"{name} has {counted(self._partitions, 'partitions')}, but its schedule needs {partitions}: "
                    f"run `tickertape scale {name} --partitions {partitions}`"
                )
            await asyncio.sleep(0.1)
            await self.look()

    def send(self, events: Sequence[Event]) -> None:
        """Send events of this topic's kind, in order."""
        put, form, topic, sure_ms = self._put, self._form, self.topic.name, self._sure_ms
        routing = self._routing
        era = routing.at(self.newest_ms)
        for event, key in zip(events, map(self._key, events), strict=True):
            time_ms = event.time_ms
            if time_ms > sure_ms.get(event.source, 0):
                self._advance(event.source, time_ms, event.received_ms)
            if not era.since_ms <= time_ms < era.until_ms:
                era = routing.at(time_ms)
            place = era[key]
            partition = place.partition if place.over == 1 else era.one_of(place, id_number(event.id))
            put(topic, partition, place.key, form(event))
        self.events += len(events)
        self._sent.inc(len(events))

    def _advance(self, source: str, time_ms: int, received_ms: int) -> None:
        had_ms = receipt_ms(received_ms, self._now_ms())
        if time_ms > had_ms + self._skew_ms:
            return
        # An event time past its receipt proves nothing about later events.
        sure_ms = min(time_ms, had_ms)
        self._newest_ms[source] = max(self._newest_ms.get(source, 0), time_ms)
        if source not in self._sure_ms:
            self._to_all(source, sure_ms - LONGEST_BAR_MS - self._disorder_ms)
        self._sure_ms[source] = max(self._sure_ms.get(source, 0), sure_ms)

    def beat(self) -> None:
        """Send each source's heartbeat to all partitions."""
        for source, time_ms in self._sure_ms.items():
            self._to_all(source, time_ms - self._disorder_ms)
            FEED_NEWEST.labels(self.topic.name, source).set(time_ms / 1000)

    def close(self) -> None:
        """Send each source's end marker to all partitions, which closes every bar."""
        for source, time_ms in self._newest_ms.items():
            self._to_all(source, time_ms, end=True)

    def _to_all(self, source: str, time_ms: int, *, end: bool = False) -> None:
        headers = to_headers(Heartbeat(source, time_ms, self._partitions, end, *self._routing.promise))
        for partition in range(self._partitions):
            self._records.send(self.topic.name, partition, None, None, headers)

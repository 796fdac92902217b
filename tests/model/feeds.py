"""The feeds of the model, which write events, heartbeats and broken records to the input partitions."""

import random

from .words import (
    EVER,
    IDLE,
    SKEW,
    SLICE,
    Bundle,
    Empty,
    Event,
    Heartbeat,
    Log,
    Poison,
    Record,
    Steps,
    end_of,
    slice_of,
)

SYMBOLS = "ABCDE"
# Its events are on all partitions.
SPREAD = frozenset("A")


class Feeds:
    """Sources that write to every partition. The event time and symbol of an event decide its partition.

    Each source has a feed of its own. A feed may learn of an added partition late, but always before it writes events
    or heartbeats at or past the step.

    In the class `lanes`, some sources promise nothing, and spread all of their symbols; some begin to promise later. A
    feed may follow a step some slices late.
    """

    def __init__(self, rng: random.Random, kind: str) -> None:
        self.rng, self.kind, self.now = rng, kind, 100
        # In the class `growth`, sources and heartbeats are few: the next heartbeat would hide that one lacks the count.
        few = kind == "growth"
        self.often, self.latest = (0.02, EVER) if few else (0.2, IDLE // 2)
        self.sources = ["s", "t", "u"][: rng.randint(1, 2 if few else 3)]
        self.schedule = [(0, rng.randint(1, 2 if few else 3))]  # (from this event time on, number of partitions)
        self.logs: list[Log] = []
        self.sent: list[Event] = []
        self.asleep: dict[str, int] = {}  # by source: since when
        self.beat: dict[str, int] = {}
        self.known = dict.fromkeys("stuvw", self.schedule[0][1])  # by source: partitions that its feed uses
        self.loose = {s for s in "stuvw" if kind == "lanes" and rng.random() < 0.3}  # they promise nothing
        self.routes = {source: list(self.schedule) for source in "stuvw"}
        self.places: dict[tuple[str, str, int, int], int] = {}  # of events, as they may be sent again
        self.ids = 0
        self.bundle_rng = random.Random(repr(rng.getstate()))  # separate from the history's
        self.ends: list[int] = []  # of each log, before this step: what was there can't change any more
        self.closed = False
        self.ended: set[str] = set()
        for _ in range(self.schedule[0][1]):
            gone: list[Record] = [Poison()] * rng.choice((0, 0, 3))
            self.logs.append(Log(len(gone), gone))
        for source in self.sources:
            self.heartbeat(source)

    def heartbeat(self, source: str, time: int | None = None) -> None:
        time = self.now if time is None else time
        if time >= self.schedule[-1][0]:
            self.known[source] = len(self.logs)
        self.beat[source] = self.now
        for log in self.logs[: self.known[source]]:
            log.records.append(Heartbeat(source, time, self.count(source), keyed=self.keyed(source), spread=SPREAD))

    def keyed(self, source: str) -> Steps:
        """Return the steps that the feed has learned of, with which it chooses partitions; none if it is loose."""
        if source in self.loose:
            return ()
        return tuple(step for step in self.routes[source] if step[1] <= self.known[source])

    def count(self, source: str) -> int:
        return self.known[source]

    def add_partition(self) -> None:
        self.logs.append(Log())
        self.schedule.append((self.step_from(), len(self.logs)))
        for route in self.routes.values():
            late = self.rng.choice((0, 0, 1, 2)) * SLICE if self.kind == "lanes" else 0
            route.append((self.schedule[-1][0] + late, len(self.logs)))

    def step_from(self) -> int:
        """Return the end of a slice that is past all watermarks and frontiers; these are at most the skew ahead."""
        return end_of(slice_of(self.now + SKEW))

    def learn(self, source: str) -> None:
        """Write the number of partitions to every log, before any has an event at the step."""
        if self.known[source] < len(self.logs):
            self.known[source] = len(self.logs)
            self.heartbeat(source)

    def partitions(self, event: Event) -> int:
        """Return the number of partitions at the event's time, so a repeated event goes to the same partition."""
        return [count for since, count in self.routes[event.source] if since <= event.time][-1]

    def step(self) -> None:
        rng = self.rng
        self.ends = [log.end for log in self.logs]
        self.now += rng.choice((0, 1, 1, 2, 3, 8))
        if rng.random() < (0.15 if self.kind == "growth" else 0.03) and len(self.logs) < 4:
            self.add_partition()
        if self.kind in ("outages", "horizon", "sources") and rng.random() < 0.1:
            self.fall_asleep_or_wake(rng.choice(self.sources))
        if self.kind == "horizon" and rng.random() < 0.03 and len(self.sources) < 3:
            self.join()
        if self.kind == "sources" and rng.random() < 0.1 and len(self.sources) < 5:
            self.join()
        if self.kind == "lanes" and rng.random() < 0.1 and self.loose:
            self.promise(rng.choice(sorted(self.loose)))
        if rng.random() < 0.02:
            self.end(rng.choice(self.sources))
        for source in self.sources:
            if self.kind in ("horizon", "sources") and source in self.ended and rng.random() < 0.1:
                self.ended.discard(source)
            if source not in self.asleep and source not in self.ended:
                if rng.random() < self.often or self.now - self.beat[source] >= self.latest:
                    self.heartbeat(source)
                if rng.random() < 0.2:
                    self.learn(source)
                self.event(source, self.now - rng.choice((0, 0, 0, 1, 4, 12, 30)))
        if rng.random() < 0.1:
            # The heartbeat has a wrong number of partitions.
            kinds: list[Record] = [Empty(), Poison()]
            kinds += [Heartbeat(source, 0, 9) for source in self.sources if source not in self.ended]
            rng.choice(self.logs).records.append(rng.choice(kinds))

    def join(self) -> None:
        self.sources.append("stuvw"[len(self.sources)])
        self.known[self.sources[-1]] = len(self.logs)
        self.heartbeat(self.sources[-1])

    def promise(self, source: str) -> None:
        """Keep the symbols of a loose source together from now on."""
        self.loose.discard(source)
        if source in self.sources and source not in self.ended:
            self.heartbeat(source)

    def fall_asleep_or_wake(self, source: str) -> None:
        since = self.asleep.pop(source, None)
        if since is None:
            self.asleep[source] = self.now
        elif self.rng.random() < 0.8:  # it sends what happened meanwhile, or else has nothing
            for time in sorted(self.rng.randint(since, self.now) for _ in range(self.rng.randint(1, 6))):
                self.event(source, time)

    def event(self, source: str, time: int) -> None:
        rng = self.rng
        self.ids += 1
        time += rng.choice((0,) * 8 + (SKEW, SKEW + 1, 40))
        event = Event(source, time, self.now, rng.choice(SYMBOLS), self.ids, rng.random())
        if rng.random() < 0.1:
            event = Event(source, time, self.now, "", self.ids, 0.0)
        elif rng.random() < 0.15 and self.sent:
            old = rng.choice(self.sent[-8:])
            event = Event(old.source, old.time, self.now, old.symbol, old.id, old.value)
        elif rng.random() < 0.05 and self.sent:  # a source whose ids start over
            old = rng.choice(self.sent[-8:])
            event = Event(old.source, time, self.now, old.symbol, old.id, rng.random())
        if event.source in self.asleep or event.source in self.ended:
            return
        self.sent.append(event)
        if event.time >= self.schedule[-1][0]:
            self.learn(event.source)
        self.send(self.place(event), event)

    def send(self, p: int, event: Event) -> None:
        """Append an event, or add it to the record before, which isn't sent yet if it is of this step too."""
        records = self.logs[p].records
        fresh = len(records) > (self.ends[p] if p < len(self.ends) else 0)
        last = records[-1] if fresh else None
        if not isinstance(last, Event | Bundle) or self.bundle_rng.random() < 0.3:
            records.append(event)
            return
        events = last.events if isinstance(last, Bundle) else (last,)
        records[-1] = Bundle((*events, event), self.bundle_rng.random() < 0.1)

    def place(self, event: Event) -> int:
        """Return the event's partition: where it went before, if it is sent again."""
        spread = event.id if event.symbol in SPREAD or event.source in self.loose else 0
        place = (ord(event.symbol) + spread) % self.partitions(event) if event.symbol else 0
        if self.kind != "lanes":
            return place
        return self.places.setdefault((event.source, event.symbol, event.id, slice_of(event.time)), place)

    def end(self, source: str) -> None:
        """Write an end marker to every partition, with the newest event time that counts."""
        if source in self.ended or source in self.asleep:
            return
        self.ended.add(source)
        newest = max((e.time for e in self.sent if e.source == source and e.time <= e.received + SKEW), default=0)
        for log in self.logs:
            log.records.append(Heartbeat(source, newest, len(self.logs), True, self.keyed(source), SPREAD))

    def close(self) -> None:
        """End all sources, also those that are asleep: what never ends is never final.

        A source that had ended before a partition was added has no end marker there, and retention may have deleted end
        markers. Such a source ends again.
        """
        self.closed = True
        self.asleep.clear()
        for source in self.sources:
            heard = all(any(isinstance(r, Heartbeat) and r.source == source for r in log.records) for log in self.logs)
            if not heard or self.kind == "retention":
                self.ended.discard(source)
            self.end(source)

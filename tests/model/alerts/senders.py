"""Processes that send alerts by the protocol, in random histories. The outbox and the intake are the real ones."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.alerts.made import alert
from tickertape.schemas.alert import Alert, Due, Fact, Position, Sending, Sent, key_of
from tickertape.stream.alerts.define.message import Message
from tickertape.stream.alerts.intake import Intake
from tickertape.stream.alerts.outbox import Outbox
from tickertape.stream.alerts.plan import Plan, Route

PLAN = Plan({}, {"ops": None}, [Route(["ops"], group_seconds=0.0)])  # type: ignore[dict-item]  # it isn't called
NOW_MS = alert().end_ms + 1000
STEPS = 250


@dataclass
class World:
    """What outlives a process: two topics, and what the channel received."""

    bug: str = ""
    signals: list[Alert] = field(default_factory=list)
    log: list[tuple[int, bytes, Fact]] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    #: How often a process died, or was replaced, after it may have sent a signal and before it had recorded it.
    uncertain: Counter[str] = field(default_factory=Counter)
    owner: "Process | None" = None
    next_offset: int = 0

    def append(self, fact: Fact) -> None:
        key = b"the signal's alone" if self.bug == "one key for all facts" else key_of(fact)
        if self.bug == "one key for all facts" and isinstance(fact, Due):
            key = fact.alert.id.encode()
        elif self.bug == "one key for all facts" and isinstance(fact, Sending | Sent):
            key = fact.members[0].encode()
        elif isinstance(fact, Position):
            key = b"position"
        self.log.append((self.next_offset, key, fact))
        self.next_offset += 1

    def compact(self) -> None:
        newest = {key: offset for offset, key, _ in self.log}
        self.log = [entry for entry in self.log if newest[entry[1]] == entry[0]]


class Process:
    """One process, in steps between which anything may happen to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.outbox = Outbox()
        self.read = 0
        self.pending: list[Fact] = []
        self.at_risk: list[str] = []
        world.owner = self
        self.echo()
        self.position = self.outbox.position.get(0, 0)
        self.intake = Intake(PLAN, self.outbox, {"1s": 1000})
        self.sending = self.send()

    def note(self, fact: Fact) -> None:
        self.pending.append(fact)
        self.outbox.apply(fact)

    def deliver(self) -> None:
        if self.pending:
            self.world.append(self.pending.pop(0))

    def echo(self) -> None:
        for offset, _, fact in self.world.log:
            if offset >= self.read:
                self.outbox.apply(fact)
        self.read = self.world.next_offset

    def follow(self) -> None:
        if self.position < len(self.world.signals):
            if self.world.bug == "the position before the facts":
                self.note(Position({0: self.position + 1}))
                self.deliver()
            for fact in list(self.intake.received(self.world.signals[self.position], NOW_MS)):
                self.note(fact)
            self.position += 1

    def save(self) -> None:
        self.note(Position({0: self.position}))

    def send(self) -> Iterator[None]:
        bug = self.world.bug
        while True:
            yield
            found = self.outbox.unfinished("ops")
            if found is None:
                if (packed := self.outbox.pack("ops", NOW_MS)) is None:
                    continue
                if bug == "what it holds isn't recorded":
                    self.outbox.apply(packed)
                else:
                    self.note(packed)
                    yield from self.flush()
                if (found := self.outbox.unfinished("ops")) is None:
                    continue
            sending, dues = found
            sent = Sent(sending.id, "ops", sending.stage, [due.alert.id for due in dues], "sent", NOW_MS)
            if bug == "the outcome before the sending":
                self.note(sent)
                yield from self.flush()
            if bug != "no claim" and self.world.owner is not self:
                return
            self.at_risk = list(sending.members)
            yield
            self.world.received.append(Message(sending.id, sending.stage, [due.alert for due in dues]))
            yield
            if bug != "the outcome isn't recorded":
                self.note(sent)
                yield from self.flush()
            else:
                self.outbox.apply(sent)
            self.at_risk = []

    def flush(self) -> Iterator[None]:
        while self.pending:
            yield

    def interrupted(self) -> None:
        """It dies, or another takes its place: what it is sending is uncertain."""
        self.world.uncertain.update(self.at_risk)
        self.at_risk = []

    def step(self, rng: random.Random) -> None:
        act = rng.choice((self.follow, self.save, self.deliver, self.deliver, self.echo, None, None))
        if act is None:
            next(self.sending, None)
        else:
            act()


def wrong(seed: int, bug: str = "") -> str:
    """Run a history, and return what is wrong with what the channel received; empty if nothing is."""
    rng, world = random.Random(seed), World(bug)
    process, frozen, froze = Process(world), [], False
    for _ in range(STEPS):
        luck = rng.random()
        if luck < 0.08 and len(world.signals) < 12:
            world.signals.append(alert(symbol=f"S{rng.randrange(6)}"))
        elif luck < 0.10:
            world.compact()
        elif luck < 0.11 and world.signals:
            # A replay, or the workers' group has another name: all is published again.
            world.signals.extend(world.signals[:6])
        elif luck < 0.15:
            process.interrupted()
            # In half of the histories nobody freezes: then the id of a message never changes.
            if seed % 2 or rng.random() < 0.5:
                for _ in range(rng.randrange(3)):
                    process.deliver()
            else:
                frozen.append(process)
                froze = True
            process = Process(world)
        elif luck < 0.35 and frozen:
            rng.choice(frozen).step(rng)
        else:
            process.step(rng)
    process.interrupted()
    last = Process(world)
    for _ in range(1500):
        last.step(rng)
    return _judged(world, froze=froze)


def _judged(world: World, *, froze: bool) -> str:
    sent = Counter(one.id for message in world.received for one in message.alerts)
    for name in {one.id for one in world.signals}:
        if not sent[name]:
            return f"{name} was never sent"
        if sent[name] > 1 + world.uncertain[name]:
            return f"{name} was sent {sent[name]} times, and {world.uncertain[name]} times it was uncertain"
        ids = {message.id for message in world.received if name in [one.id for one in message.alerts]}
        if len(ids) > 1 and not froze:
            return f"{name} was sent with the ids {sorted(ids)}"
    return ""

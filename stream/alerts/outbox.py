"""The outbox: what is due, what is being sent and what is over, as the facts on the topic ``alerts`` say."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

from tickertape.schemas.alert import Due, Fact, Position, Sending, Sent, Skipped, Stage, delivery
from tickertape.schemas.topics import ALERTS

# The most alerts in a message. Text of this length fits every channel's limit.
MOST_MEMBERS = 20


class Reported(NamedTuple):
    """A provisional alert that was sent."""

    due: Due
    #: The message's id, and the channel's own id of it.
    message: str
    ref: str


class Outbox:
    """Holds the facts in memory. Facts may be applied more than once, as a sender reads what it has written itself."""

    def __init__(self) -> None:
        #: The offsets on ``signals`` before which all is judged; empty if none are known.
        self.position: dict[int, int] = {}
        #: What is due and in no message yet, by delivery.
        self.waiting: dict[str, Due] = {}
        #: Provisional alerts that were sent, by delivery.
        self.reported: dict[str, Reported] = {}
        self._open: dict[str, Sending] = {}
        self._packed: dict[str, Due] = {}
        # By delivery, and by message: when it was over or its window began, so that old ones can be forgotten.
        self._over: dict[str, int] = {}
        self._ended: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether a delivery is known, whatever its state."""
        return name in self.waiting or name in self._packed or name in self._over

    def apply(self, fact: Fact) -> None:
        match fact:
            case Due():
                self._add(fact)
            case Sending() if fact.id not in self._ended:
                self._open[fact.id] = fact
                for name in _deliveries(fact):
                    self._take(name)
            case Sent():
                self._end(fact)
            case Skipped():
                name = delivery(fact.channel, fact.stage, fact.id)
                self.waiting.pop(name, None)
                self._over[name] = _start_ms(fact.id)
            case Position():
                self.position = dict(fact.offsets)

    def _add(self, due: Due) -> None:
        name = due.delivery
        if name in self._over or name in self._packed:
            return
        known = self.waiting.get(name)
        if known is None or (due.alert.final, due.alert.revision) > (known.alert.final, known.alert.revision):
            self.waiting[name] = due
        # It may be in a message already: if a frozen process repeats it, compaction keeps only the later record.
        if any(name in _deliveries(message) for message in self._open.values()):
            self._take(name)

    def _take(self, name: str) -> None:
        if (due := self.waiting.pop(name, None)) is not None:
            self._packed[name] = due

    def _end(self, sent: Sent) -> None:
        self._open.pop(sent.id, None)
        self._ended[sent.id] = sent.at_ms
        for name, alert in zip(_deliveries(sent), sent.members, strict=True):
            due = self._packed.pop(name, None) or self.waiting.pop(name, None)
            self._over[name] = _start_ms(alert)
            if sent.outcome == "sent" and due is not None and not due.alert.final:
                self.reported[name] = Reported(due, sent.id, sent.ref)

    def first_of(self, name: str) -> Due | None:
        """Return a delivery that is due, being sent, or was sent while it was provisional; None for any other."""
        if name in self.reported:
            return self.reported[name].due
        return self.waiting.get(name) or self._packed.get(name)

    def is_over(self, name: str) -> bool:
        return name in self._over

    def unfinished(self, channel: str) -> tuple[Sending, list[Due]] | None:
        """Return the channel's oldest message without an outcome, and what it holds; None if there is none."""
        for message in self._open.values():
            members = [self._packed[name] for name in _deliveries(message) if name in self._packed]
            # One whose alerts were all sent by another process in other messages is none to send.
            if message.channel == channel and members:
                return message, members
        return None

    def pack(self, channel: str, now_ms: int) -> Sending | None:
        """Return the next message of a channel; None if no group has closed.

        Parameters
        ----------
        channel
            The channel's name.
        now_ms
            The time now.
        """
        groups: dict[tuple[Stage, str, str], list[Due]] = {}
        for due in self.waiting.values():
            if due.channel == channel and due.open_ms <= now_ms:
                first = self._reported_first(due)
                if due.stage == "fired" or first is not None:
                    origin = ("", "") if first is None else (first.message, first.ref)
                    groups.setdefault((due.stage, *origin), []).append(due)
        closed = {
            group: min(due.ready_ms for due in dues)
            for group, dues in groups.items()
            if min(due.ready_ms for due in dues) <= now_ms
        }
        if not closed:
            return None
        group = min(closed, key=closed.__getitem__)
        dues = sorted(groups[group], key=lambda due: (due.ready_ms, due.alert.end_ms, due.alert.id))[:MOST_MEMBERS]
        members = [due.alert.id for due in dues]
        stage, _, ref = group
        name = "\n".join((channel, stage, *members)).encode()
        return Sending(blake2b(name, digest_size=12).hexdigest(), channel, stage, members, ref)

    def _reported_first(self, due: Due) -> Reported | None:
        return self.reported.get(delivery(due.channel, "fired", due.alert.id)) if due.stage != "fired" else None

    def forget(self, now_ms: int) -> None:
        """Forget what the topic forgets too. Signals of that age are too old to be sent."""
        oldest_ms = now_ms - ALERTS.retention_ms
        self._over = {name: at_ms for name, at_ms in self._over.items() if at_ms >= oldest_ms}
        self._ended = {name: at_ms for name, at_ms in self._ended.items() if at_ms >= oldest_ms}
        self.reported = {name: one for name, one in self.reported.items() if one.due.alert.start_ms >= oldest_ms}

    def all_waiting(self) -> Iterator[Due]:
        """Yield everything that is due and not over."""
        yield from self.waiting.values()
        yield from self._packed.values()


def _deliveries(message: Sending | Sent) -> Sequence[str]:
    return [delivery(message.channel, message.stage, member) for member in message.members]


def _start_ms(alert: str) -> int:
    return int(alert.rpartition("|")[2])

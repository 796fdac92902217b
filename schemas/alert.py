"""The records on the topic ``alerts``: facts about what was due and what was sent.

A fact is never replaced by another one: due, sending and sent have keys of their own. So a sender that was frozen can't
undo what its successor has recorded, and compaction keeps every fact.
"""

from datetime import UTC, datetime
from typing import Literal, TypeAlias

from msgspec import Struct, json

Severity = Literal["info", "warning", "critical"]
#: Whether a message reports a signal, or follows up on one that was reported while it was provisional.
Stage = Literal["fired", "confirmed", "retracted"]
Outcome = Literal["sent", "too old", "refused", "quiet", "unchanged", "unconfirmed", "not sent", "no route"]


class Alert(Struct, frozen=True):
    """A signal, as it is reported.

    Attributes
    ----------
    rule, symbol, source, resolution, start_ms, on, field, value, level, final, revision, incomplete
        As in the signal.
    end_ms
        The end of the window: event time since 1970 UTC.
    severity
        The severity of the rule.
    """

    rule: str
    symbol: str
    source: str
    resolution: str
    start_ms: int
    end_ms: int
    on: str
    field: str
    value: float
    level: float
    final: bool
    revision: int
    incomplete: bool
    severity: Severity = "warning"

    @property
    def id(self) -> str:
        """The same for every record of the signal, however often it is published."""
        return f"{self.rule}|{self.symbol}|{self.source}|{self.resolution}|{self.start_ms}"

    @property
    def text(self) -> str:
        """The signal in one line."""
        at = datetime.fromtimestamp(self.end_ms / 1000, UTC)
        open_ = "" if self.final else ", provisional"
        source = "all sources" if self.source == "all" else self.source
        return (
            f"[{self.severity}] {self.rule}: {self.symbol} {self.field} {self.value:.10g} passed {self.level:.10g} "
            f"({self.on} {self.resolution} of {source}, {at:%Y-%m-%d %H:%M:%S} UTC{open_})"
        )


class Due(Struct, frozen=True, tag="due"):
    """An alert must be sent to a channel.

    Attributes
    ----------
    channel
        The channel's name.
    stage
        What the message says of the signal.
    alert
        The signal.
    open_ms
        The earliest time to send it: later than now in quiet hours.
    ready_ms
        When its group closes. Until then others may join it in one message.
    expires_ms
        When it is too old to be sent.
    confirm_by_ms
        When a provisional signal is retracted unless it has become final; 0 for never.
    picture
        Whether a picture of the price is wanted.
    """

    channel: str
    stage: Stage
    alert: Alert
    open_ms: int
    ready_ms: int
    expires_ms: int
    confirm_by_ms: int = 0
    picture: bool = False

    @property
    def delivery(self) -> str:
        return delivery(self.channel, self.stage, self.alert.id)


class Sending(Struct, frozen=True, tag="sending"):
    """A message is about to be sent. What it holds doesn't change any more, so each try has the same id.

    Attributes
    ----------
    id
        The message's id.
    channel, stage
        As in `Due`.
    members
        The ids of its alerts.
    reply_to
        The channel's own id of the message that this one follows up on; empty if there is none.
    """

    id: str
    channel: str
    stage: Stage
    members: list[str]
    reply_to: str = ""


class Sent(Struct, frozen=True, tag="sent"):
    """A message is over: it was sent, or never will be.

    Attributes
    ----------
    id, channel, stage, members
        As in `Sending`.
    outcome
        What became of it.
    ref
        The channel's own id of the message; empty if the channel gives none.
    at_ms
        When that was.
    why
        What the channel said when it refused.
    """

    id: str
    channel: str
    stage: Stage
    members: list[str]
    outcome: Outcome
    at_ms: int
    ref: str = ""
    why: str = ""


class Skipped(Struct, frozen=True, tag="skipped"):
    """An alert isn't sent to a channel.

    Attributes
    ----------
    channel, stage
        As in `Due`.
    id
        The alert's id.
    outcome
        Why.
    """

    channel: str
    stage: Stage
    id: str
    outcome: Outcome


class Position(Struct, frozen=True, tag="position"):
    """All signals before these offsets have been judged.

    Attributes
    ----------
    offsets
        By partition of the topic ``signals``.
    """

    offsets: dict[int, int]


Fact: TypeAlias = Due | Sending | Sent | Skipped | Position


def delivery(channel: str, stage: Stage, alert: str) -> str:
    """Return the name of one alert's way to one channel."""
    return f"{channel}|{stage}|{alert}"


def key_of(fact: Fact) -> bytes:
    """Return the key of a fact's record."""
    match fact:
        case Due():
            key = f"due|{fact.delivery}"
        case Skipped():
            key = f"skipped|{delivery(fact.channel, fact.stage, fact.id)}"
        case Position():
            key = "position"
        case Sending():
            key = f"sending|{fact.channel}|{fact.id}"
        case Sent():
            key = f"sent|{fact.channel}|{fact.id}"
    return key.encode()


encode = json.Encoder().encode
_decode = json.Decoder(Fact).decode


def decode(value: bytes) -> Fact:
    """Decode a record.

    Raises
    ------
    msgspec.MsgspecError
        It isn't a fact.
    """
    fact: Fact = _decode(value)
    return fact

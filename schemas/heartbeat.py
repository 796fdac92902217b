"""Heartbeats: records without a value, with one header. A source states that it has sent all of its earlier events."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder, Encoder

from tickertape.schemas.control import MOST_PARTITIONS, Partitions
from tickertape.schemas.fields import LATEST_MS, Source

HEADER = "heartbeat"
# A source with more steps or spread symbols states only the newest steps, or none.
MOST_STEPS = 8
MOST_SPREAD = 64
MOST_LETTERS = 64


class Keyed(Struct, frozen=True, array_like=True):
    """The number of partitions among which a source places its events by their keys, from an event time on.

    Attributes
    ----------
    from_ms
        The first event time that it is valid for, ms.
    partitions
        An event is in the partition that Kafka's default partitioner chooses for its key among so many.
    """

    from_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)]
    partitions: Partitions


class Heartbeat(Struct, gc=False, frozen=True, omit_defaults=True):
    """A record that moves the watermark of a source's lane to ``time_ms``.

    Like an event, it is rejected if it is too far ahead of its append time.

    Attributes
    ----------
    source
        The source of the lane.
    time_ms
        No record of the source with an earlier event time follows in this partition, lateness aside.
    partitions
        The topic's number of partitions as the feed knows it; 0 if unknown. It is in the log, so a reader learns of an
        added partition before it reads event times that may lie on it.
    end
        True if nothing of the source follows. The lane's last slice is closed, and the lane delays no results until
        the source's next record.
    keyed
        Where the source's events lie, past and future ones, by event time; times rise. Nothing is promised for event
        times before the first. A further step begins after all events that the source has sent. Empty: the source
        promises nothing, and a symbol's events may be anywhere.
    spread
        The keys to which `keyed` doesn't apply, because their events are on several partitions.
    """

    source: Source
    time_ms: int
    partitions: Annotated[int, Meta(ge=0, le=MOST_PARTITIONS)] = 0
    end: bool = False
    keyed: Annotated[tuple[Keyed, ...], Meta(max_length=MOST_STEPS)] = ()
    spread: Annotated[tuple[Annotated[str, Meta(max_length=MOST_LETTERS)], ...], Meta(max_length=MOST_SPREAD)] = ()


_encode = Encoder().encode
_decode = Decoder(Heartbeat).decode


def to_headers(heartbeat: Heartbeat) -> list[tuple[str, bytes]]:
    return [(HEADER, _encode(heartbeat))]


def from_headers(headers: Sequence[tuple[str, bytes | None]]) -> Heartbeat | None:
    """Decode the heartbeat in the headers of a record without a value; None if no header holds one.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError
        The header exists but doesn't hold a heartbeat.
    """
    for name, value in headers:
        if name == HEADER:
            # Kafka allows headers without a value.
            return _decode(value or b"")
    return None

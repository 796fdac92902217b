"""A heartbeat: a record with no value and one header, by which a source says "all of mine before this is sent"."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.json import Decoder, Encoder

from tickertape.schemas.control import MOST_PARTITIONS
from tickertape.schemas.fields import Source

HEADER = "heartbeat"


class Heartbeat(Struct, gc=False, frozen=True, omit_defaults=True):
    """Moves the watermark of a source's lane to ``time_ms``; it may not be further past its append time than an event.

    Attributes
    ----------
    source
        The lane that it speaks for.
    time_ms
        No record of that source with an earlier event time follows in this partition, lateness aside.
    partitions
        How many partitions the topic has, as far as the feed knows; 0 where it doesn't say. It is in the log, so
        whoever reads of event times that may lie on an added partition has read that there is one.
    end
        True where nothing of the source follows: its last slice is closed, and the lane holds nothing back until the
        source speaks again.
    """

    source: Source
    time_ms: int
    partitions: Annotated[int, Meta(ge=0, le=MOST_PARTITIONS)] = 0
    end: bool = False


_encode = Encoder().encode
_decode = Decoder(Heartbeat).decode


def to_headers(heartbeat: Heartbeat) -> list[tuple[str, bytes]]:
    return [(HEADER, _encode(heartbeat))]


def from_headers(headers: Sequence[tuple[str, bytes | None]]) -> Heartbeat | None:
    """Return the heartbeat that a null record carries, or None where no header names one.

    Raises
    ------
    msgspec.DecodeError, msgspec.ValidationError
        The header is there but isn't a heartbeat.
    """
    for name, value in headers:
        if name == HEADER:
            # Kafka has headers without a value.
            return _decode(value or b"")
    return None

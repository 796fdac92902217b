"""A heartbeat: a record with no value and one header, by which a source says "all of mine before this is sent"."""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.json import Decoder, Encoder

from schemas.trade import Source

HEADER = "heartbeat"


class Heartbeat(Struct, gc=False, frozen=True):
    """Moves the watermark of a source's lane to ``time_ms``.

    Attributes
    ----------
    source
        The lane that it speaks for.
    time_ms
        No record of that source with an earlier event time follows in this partition, lateness aside.
    """

    source: Source
    time_ms: int


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

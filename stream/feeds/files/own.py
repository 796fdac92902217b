"""Events in our own JSON, one per line."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event, Shape
from tickertape.schemas.post import Post
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.units import with_unit

_shape = msgspec.json.Decoder(Shape).decode
_decode: dict[type, Callable[[bytes], Event]] = {
    Trade: msgspec.json.Decoder(Trade).decode,
    Quote: msgspec.json.Decoder(Quote).decode,
    Post: msgspec.json.Decoder(Post).decode,
}
_OPTIONAL = {kind: {one.name for one in msgspec.structs.fields(kind) if not one.required} for kind in _decode}


class _Times(Struct):
    time_ms: int | float | None = None
    received_ms: int | float | None = None


_times = msgspec.json.Decoder(_Times).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def normalise(line: bytes) -> Event:
    """Decode a line into an event.

    Raises
    ------
    ValueError
        The line is not an event.
    """
    kind = _shape(line).kind
    try:
        return _decode[kind](line)
    except msgspec.ValidationError:
        if b"null" not in line:
            raise
    return _decode[kind](without_nulls(line))


def without_nulls(line: bytes) -> bytes:
    """Return a line without optional fields that are null.

    Raises
    ------
    ValueError
        The line is not a JSON object.
    """
    optional = _OPTIONAL[_shape(line).kind]
    return _encode({name: raw for name, raw in _fields(line).items() if name not in optional or bytes(raw) != b"null"})


def reason(line: bytes, error: Exception) -> str:
    """Return why a line is not an event; if a time has the wrong unit, with that unit."""
    try:
        times = _times(line)
    except (ValueError, RecursionError):
        return str(error)
    return with_unit(str(error), {"time_ms": times.time_ms, "received_ms": times.received_ms})


#: Events in our own JSON, one per line, under either name.
JSONL = Format("jsonl", normalise, (Trade, Quote, Post), reason)
JSON = Format("json", normalise, (Trade, Quote, Post), reason)

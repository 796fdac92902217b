"""What became of a record that was not counted: the records of ``late`` and ``dead-letters``."""

from msgspec import Struct


class Late(Struct, frozen=True, kw_only=True):
    """A record whose slice had closed in its lane; on the topic ``late``.

    Attributes
    ----------
    topic, partition, offset
        Where it lies.
    source, symbol
        Its lane, and what it was about.
    time_ms
        Its event time.
    frontier_ms
        Its lane's frontier when it was read.
    late_by_ms
        How far the frontier had passed its slice's end.
    value
        The record, as text; past 64 KiB only its head.
    size_bytes
        How long it was.
    """

    topic: str
    partition: int
    offset: int
    source: str
    symbol: str
    time_ms: int
    frontier_ms: int
    late_by_ms: int
    value: str
    size_bytes: int


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A record that was rejected; on the topic ``dead-letters``.

    Attributes
    ----------
    topic, partition, offset
        Where it lies.
    reason
        What is wrong with it, in one line.
    value
        Its bytes, Base64 in JSON; past 64 KiB only their head.
    size_bytes
        How long it was.
    sha256
        The digest of all its bytes where ``value`` is but the head, else empty.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    value: bytes
    size_bytes: int
    sha256: str = ""

"""What became of a record that was not counted: the records of ``late`` and ``dead-letters``."""

from msgspec import Struct


class Late(Struct, frozen=True, kw_only=True):
    """A record whose slice had closed in its lane; on the topic ``late``.

    Attributes
    ----------
    topic, partition, offset
        Where it lies.
    source, symbol
        Its lane, and what it was about; several symbols with commas between.
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


class LateSlice(Struct, frozen=True, kw_only=True):
    """A slice that came, or went on, past the horizon: results are closed without it; on the topic ``late``.

    Its records were counted, not late in their lane; but the lane woke when the others had gone on for too long.

    Attributes
    ----------
    topic, partition, offset
        Where it lies, on ``slices``.
    source, symbol
        Its lane, and what it is about.
    time_ms
        Its start.
    frontier_ms
        Up to where the results were closed when it came.
    late_by_ms
        How far that is past its end.
    input_topic, input_partition
        Where its records lie.
    events
        How many of them the results don't hold.
    missing_in
        Whose results: the source's, those of ``all``, or both.
    """

    topic: str
    partition: int
    offset: int
    source: str
    symbol: str
    time_ms: int
    frontier_ms: int
    late_by_ms: int
    input_topic: str
    input_partition: int
    events: int
    missing_in: list[str]


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

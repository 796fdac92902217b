"""The records of the topics ``late`` and ``dead-letters``: reports of records and slices that results don't include."""

from msgspec import Struct


class Late(Struct, frozen=True, kw_only=True):
    """A record that was late because its slice was already closed in its lane; on the topic ``late``.

    Attributes
    ----------
    topic, partition, offset, index
        The record's position; for an event of a bundle also its index there, else null.
    source, symbol
        The record's source and symbol; several symbols are separated by commas.
    time_ms
        The record's event time.
    frontier_ms
        The frontier of the lane when the record was read.
    late_by_ms
        How far the frontier was past the end of the slice.
    value
        The record as text, cut after 64 KiB; for an event of a bundle, as JSON.
    size_bytes
        Its full length.
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
    index: int | None = None

    @property
    def key(self) -> bytes:
        """The key of the report's record."""
        return _key(self.topic, self.partition, self.offset, self.index)


class LateSlice(Struct, frozen=True, kw_only=True):
    """A slice that was received or updated past the horizon, so results don't include it; on the topic ``late``.

    Its records were counted: they weren't late in their lane. But the lane was idle until the results were closed.

    Attributes
    ----------
    topic, partition, offset
        The position of the slice's frame on ``slices``.
    source, symbol
        The slice's source and symbol.
    time_ms
        The slice's start.
    frontier_ms
        The event time up to which results were closed when the slice was received.
    late_by_ms
        How far this time is past the slice's end.
    input_topic, input_partition
        The topic and partition of the slice's records.
    events
        How many of the slice's events the results don't include.
    missing_in
        The results without these events: those of the source, of ``all``, or both.
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
    topic, partition, offset, index
        The record's position; for an event of a bundle also its index there, else null. A bundle that can't be
        unpacked is rejected as one record.
    reason
        What is wrong with the record, in one line.
    value
        The record's bytes, Base64 in JSON, cut after 64 KiB; for an event of a bundle, its JSON.
    size_bytes
        Their full length.
    sha256
        The digest of all bytes of the record if ``value`` is cut, else empty.
    """

    topic: str
    partition: int
    offset: int
    reason: str
    value: bytes
    size_bytes: int
    sha256: str = ""
    index: int | None = None

    @property
    def key(self) -> bytes:
        """The key of the report's record."""
        return _key(self.topic, self.partition, self.offset, self.index)


def _key(topic: str, partition: int, offset: int, index: int | None) -> bytes:
    return f"{topic}|{partition}|{offset}{'' if index is None else f'|{index}'}".encode()

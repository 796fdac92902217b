"""A frame: what one flush of one input partition has for one shard, on the topic ``slices``."""

from typing import Annotated

from msgspec import Meta, Struct, field

from tickertape.schemas.fields import Source

Whole = Annotated[int, Meta(ge=0, le=2**62)]
#: Before any time: where a lane is that has said nothing.
NEVER_MS = -(2**62)
AnyTimeMs = Annotated[int, Meta(ge=-(2**62), le=2**62)]


class Lane(Struct, frozen=True, array_like=True):
    """How far one source is in one partition.

    Attributes
    ----------
    source
        The source's name.
    watermark_ms
        The running maximum of its accepted event times and of its heartbeats.
    frontier_ms
        Slices that end at or before it are closed; it never moves back.
    idle
        True while the partition's owner, caught up with the log's end, has had nothing from it for the idle time-out.
    ended
        True where the last that the source has said is that nothing follows.
    """

    source: Source
    watermark_ms: AnyTimeMs
    frontier_ms: AnyTimeMs
    idle: bool = False
    ended: bool = False


class Tallies(Struct, array_like=True):
    """What became of every offset from the log's start to ``upto``; they add up to the difference.

    Attributes
    ----------
    counted, late, rejected, repeated, unmatched, heartbeats
        Records, each in exactly one.
    empty
        Offsets with no record for us: transaction markers, aborted transactions, compacted records.
    lost
        Records that retention took before they were read.
    """

    counted: Whole = 0
    late: Whole = 0
    rejected: Whole = 0
    repeated: Whole = 0
    unmatched: Whole = 0
    heartbeats: Whole = 0
    empty: Whole = 0
    lost: Whole = 0


class Frame(Struct, frozen=True, array_like=True):
    """Cumulative upserts of slices of one input partition, for the symbols of one shard.

    Attributes
    ----------
    topic, partition
        The input partition that was read.
    epoch
        What the slices' meaning hangs on (slice width, skew); frames of another epoch don't mix.
    upto
        The offset that the partition has been read to: the stamp of every upsert here. The highest stamp holds.
    partitions
        How many partitions the topic has, by the owner's metadata and by the heartbeats that it has read: one that
        has not spoken yet holds finals back.
    idle
        True where its owner, caught up with the log's end, has waited for the time-out: any source without a lane here
        is idle. Else such a source is held back.
    incomplete
        ``(from, to)`` ms where retention took records of slices that were open, else empty.
    lanes
        Every lane of the partition. A lane's frontier covers the upserts in this frame and before it, in this shard.
    tallies
        The partition's, up to ``upto``.
    sources, symbols
        Names that the columns ``source`` and ``symbol`` index.
    columns
        Little-endian arrays of one length: ``source`` and ``symbol`` (uint32), ``slice_ms`` (int64, the slice's
        start), and each column of the aggregate that holds numbers.
    sketches
        Those that hold sketches, which are bytes of any length: one a slice, empty where it holds nothing.
    evicted_ms
        The greatest frontier of lanes that made room for others, ms: all is closed up to there of any source that has
        no lane here. ``NEVER_MS`` where none did.
    """

    topic: str
    partition: Whole
    epoch: str
    upto: Whole
    partitions: Whole
    idle: bool
    incomplete: tuple[AnyTimeMs, AnyTimeMs] | None
    lanes: list[Lane]
    tallies: Tallies
    sources: list[Source]
    symbols: list[str]
    columns: dict[str, bytes]
    sketches: dict[str, list[bytes]] = field(default_factory=dict)
    evicted_ms: AnyTimeMs = NEVER_MS

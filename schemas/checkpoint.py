"""What a worker leaves behind in Kafka's group offsets: where to read from, and what it knew there, as one commit."""

import base64
import zlib
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tickertape.schemas.frame import NEVER_MS, Lane, Tallies

# Kafka's default for `offset.metadata.max.bytes`; a commit with more is refused.
METADATA_BYTES = 4096
# A checkpoint that isn't packed begins with a bracket.
_PACKED = "zlib:"
# A commit that refers to a record with its checkpoint begins with this.
_REFERS = "state:"
# A checkpoint of ours is never packed into less than that part of its length.
_PACKED_TIMES = 64

C = TypeVar("C", bound=Struct)


class SliceCheckpoint(Struct, frozen=True, array_like=True):
    """The whole durable state of one input partition.

    Attributes
    ----------
    upto
        The offset that the partition has been read to.
    start
        The log's first offset when it was first read; the tallies add up to ``upto - start``.
    lanes
        Every lane, as of ``upto``.
    tallies
        As of ``upto``.
    incomplete
        Where retention took records of open slices, ``(from, to)`` ms, or None.
    partitions
        How many there are, by the owner's metadata and the heartbeats below ``upto``: not every shard may have heard.
    evicted_ms
        The greatest frontier of lanes that made room for others, ms.
    since
        By source: the offset from which on it has a lane, if that is past the commit's. Records before it were
        rejected, and stay so when they are read again.
    """

    upto: int = 0
    start: int = 0
    lanes: list[Lane] = field(default_factory=list)
    tallies: Tallies = field(default_factory=Tallies)
    incomplete: tuple[int, int] | None = None
    partitions: int = 0
    evicted_ms: int = NEVER_MS
    since: dict[str, int] = field(default_factory=dict)


class Views(Struct, frozen=True, array_like=True):
    """What a shard knows of one input topic; times in ms, by source and for all of them.

    Attributes
    ----------
    partitions
        How many the topic is known to have.
    folded
        Slices that end at or before it are folded for good. Every source is here that has a lane in any partition, or
        windows that may change.
    final
        Windows that end at or before it are published as final.
    added
        Partitions that were heard of when slices had been folded without them: from which one on, and how far slices
        were folded then, by source and for all. It stays until their lanes have passed that.
    forgotten_ms
        How far slices were folded of sources that are not here any more.
    """

    partitions: int = 0
    folded: dict[str, int] = field(default_factory=dict)
    final: dict[str, int] = field(default_factory=dict)
    added: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    forgotten_ms: int = NEVER_MS


class WindowCheckpoint(Struct, frozen=True, array_like=True):
    """The durable state of one shard.

    Attributes
    ----------
    upto
        The offset that the shard of ``slices`` has been read to.
    topics
        What it knows of each input topic.
    needed
        The oldest offset that an open window needs, where it is past the commit's, or None.
    log
        Tells the shard's log from one of the same name before it: a snapshot is of one. Empty: not known.
    began
        Where it was first read, if what follows windows is to be made again from there; None where a snapshot has it.
    """

    upto: int = 0
    topics: dict[str, Views] = field(default_factory=dict)
    needed: int | None = None
    log: str = ""
    began: int | None = None


class Reference(Struct, frozen=True, array_like=True):
    """What a commit holds in place of a checkpoint that is too long for it: where that is.

    Attributes
    ----------
    topic, partition, offset
        Of the record that holds it.
    key
        That record's.
    checksum
        CRC-32 of its value.
    head
        The checkpoint without what makes it long, packed or not.
    """

    topic: str
    partition: int
    offset: int
    key: str
    checksum: int
    head: str


def to_metadata(checkpoint: SliceCheckpoint | WindowCheckpoint) -> str:
    """Return a checkpoint as text: JSON, or where that is longer than a commit takes, the same packed."""
    text = msgspec.json.encode(checkpoint)
    return text.decode() if len(text) <= METADATA_BYTES else _PACKED + base64.b85encode(zlib.compress(text, 9)).decode()


def is_long(metadata: str) -> bool:
    """Return whether Kafka would refuse a commit with it: then a record is to hold it, see `Reference`."""
    return len(metadata.encode()) > METADATA_BYTES


def head_of(metadata: str) -> str:
    """Return a checkpoint without what makes it long: its lanes but the furthest, and what a shard knows of topics."""
    if (slices := slices_from(metadata)) is not None and slices.lanes:
        furthest = max(slices.lanes, key=lambda lane: lane.watermark_ms)
        return to_metadata(replace(slices, lanes=[furthest], since={}))
    windows = windows_from(metadata)
    return metadata if windows is None else to_metadata(replace(windows, topics={}))


def refer(reference: Reference) -> str:
    """Return what a commit holds in place of a checkpoint."""
    return _REFERS + msgspec.json.encode(reference).decode()


def reference_in(metadata: str) -> Reference | None:
    """Return what a commit refers to, or None where it holds the checkpoint itself."""
    if not metadata.startswith(_REFERS):
        return None
    try:
        return msgspec.json.decode(metadata.removeprefix(_REFERS), type=Reference)
    except msgspec.MsgspecError:
        return None


def told_in(metadata: str) -> str:
    """Return what the commit itself holds: enough to say how far a partition has been read."""
    return metadata if (reference := reference_in(metadata)) is None else reference.head


def slices_from(metadata: str) -> SliceCheckpoint | None:
    """Return what a commit says, or None where it isn't ours: somebody has set the offset with Kafka's own tools."""
    return _from(metadata, SliceCheckpoint)


def windows_from(metadata: str) -> WindowCheckpoint | None:
    """See `slices_from`."""
    return _from(metadata, WindowCheckpoint)


def _from(metadata: str, kind: type[C]) -> C | None:
    if metadata.startswith(_REFERS):
        raise ValueError("a commit refers to a record: find that first, or use `told_in`")
    try:
        return msgspec.json.decode(_unpacked(metadata), type=kind)
    except (msgspec.MsgspecError, zlib.error, ValueError):
        return None


def _unpacked(metadata: str) -> bytes:
    if not metadata.startswith(_PACKED):
        return metadata.encode()
    # Whoever may commit, or write states, could otherwise have a worker unpack gigabytes.
    most_bytes = _PACKED_TIMES * len(metadata)
    return zlib.decompressobj().decompress(base64.b85decode(metadata.removeprefix(_PACKED)), most_bytes)

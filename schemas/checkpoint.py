"""Checkpoints: the state that a worker stores with each offset that it commits, and its encoding as commit metadata."""

import base64
import zlib
from typing import TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tickertape.schemas.frame import NEVER_MS, Lane, Tallies

# Kafka's default for `offset.metadata.max.bytes`. Kafka refuses a commit with longer metadata.
METADATA_BYTES = 4096
# The prefix of a packed checkpoint. One that isn't packed begins with a bracket.
_PACKED = "zlib:"
# The prefix of metadata that refers to a record with the checkpoint.
_REFERS = "state:"
# A packed checkpoint unpacks to at most this many times its length.
_PACKED_TIMES = 64

C = TypeVar("C", bound=Struct)


class SliceCheckpoint(Struct, frozen=True, array_like=True):
    """The durable state of one input partition.

    Attributes
    ----------
    upto
        The offset up to which the partition has been read.
    start
        The log's first offset when it was first read; the tallies account for ``upto - start`` offsets.
    lanes
        Every lane, as of ``upto``.
    tallies
        What became of the records, as of ``upto``.
    incomplete
        The event times ``(from, to)``, ms, in which retention deleted records of open slices; None if it deleted none.
    partitions
        The topic's number of partitions, from the owner's metadata and the heartbeats below ``upto``. Some shards may
        not have received it yet.
    evicted_ms
        The greatest frontier of evicted lanes, ms.
    since
        By source: the offset at which its lane was created, if that is past the commit's offset. Records before it
        were rejected, and are rejected again when they are reread.
    since_event
        By source, for a lane that was created within a bundle: the index there. Earlier events were rejected too.
    """

    upto: int = 0
    start: int = 0
    lanes: list[Lane] = field(default_factory=list)
    tallies: Tallies = field(default_factory=Tallies)
    incomplete: tuple[int, int] | None = None
    partitions: int = 0
    evicted_ms: int = NEVER_MS
    since: dict[str, int] = field(default_factory=dict)
    since_event: dict[str, int] = field(default_factory=dict)


class Views(Struct, frozen=True, array_like=True):
    """How far a shard has processed one input topic. Times are in ms, by source and for ``all``.

    Attributes
    ----------
    partitions
        The highest number of partitions that the shard has read of.
    folded
        Slices that end at or before this time are folded for good. It has every source with a lane in any partition
        or with windows that may change.
    final
        Windows that end at or before this time are published as final.
    added
        Partitions that were added after slices had been folded without them, as (first new partition, how far slices
        were folded by then). An entry is kept until the lanes of these partitions have passed its times.
    forgotten_ms
        How far slices of forgotten sources were folded.
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
        The offset up to which the shard of ``slices`` has been read.
    topics
        How far the shard has processed each input topic.
    needed
        The oldest offset that an open window needs, if it is past the commit's offset; else None.
    log
        A random name for the shard's log. It changes when the topic is deleted and created again, so snapshots of an
        earlier log are recognized. Empty if unknown.
    began
        The offset at which the shard was first read, if derived results must be computed again from there; None if a
        snapshot holds their state.
    """

    upto: int = 0
    topics: dict[str, Views] = field(default_factory=dict)
    needed: int | None = None
    log: str = ""
    began: int | None = None


class Reference(Struct, frozen=True, array_like=True):
    """A reference to the record that holds a checkpoint, for a commit whose metadata can't hold it.

    Attributes
    ----------
    topic, partition, offset
        The position of the record.
    key
        The record's key.
    checksum
        CRC-32 of the record's value.
    head
        A short form of the checkpoint, see `head_of`; packed or not.
    """

    topic: str
    partition: int
    offset: int
    key: str
    checksum: int
    head: str


def to_metadata(checkpoint: SliceCheckpoint | WindowCheckpoint) -> str:
    """Encode a checkpoint as JSON, packed if it is longer than a commit can hold."""
    text = msgspec.json.encode(checkpoint)
    return text.decode() if len(text) <= METADATA_BYTES else _PACKED + base64.b85encode(zlib.compress(text, 9)).decode()


def is_long(metadata: str) -> bool:
    """Return whether metadata is too long for a commit. If so, a record must hold the checkpoint, see `Reference`."""
    return len(metadata.encode()) > METADATA_BYTES


def head_of(metadata: str) -> str:
    """Return a short form of a checkpoint: only the lane with the highest watermark, or no topics."""
    if (slices := slices_from(metadata)) is not None and slices.lanes:
        furthest = max(slices.lanes, key=lambda lane: lane.watermark_ms)
        return to_metadata(replace(slices, lanes=[furthest], since={}, since_event={}))
    windows = windows_from(metadata)
    return metadata if windows is None else to_metadata(replace(windows, topics={}))


def refer(reference: Reference) -> str:
    """Encode a reference as commit metadata."""
    return _REFERS + msgspec.json.encode(reference).decode()


def reference_in(metadata: str) -> Reference | None:
    """Return the reference that commit metadata holds, or None if it holds the checkpoint itself."""
    if not metadata.startswith(_REFERS):
        return None
    try:
        return msgspec.json.decode(metadata.removeprefix(_REFERS), type=Reference)
    except msgspec.MsgspecError:
        return None


def checkpoint_in(metadata: str) -> str:
    """Return the checkpoint that commit metadata holds, or its short form if the metadata refers to a record."""
    return metadata if (reference := reference_in(metadata)) is None else reference.head


def slices_from(metadata: str) -> SliceCheckpoint | None:
    """Decode a slice checkpoint; None if the metadata isn't ours, because the offset was set with Kafka's own tools."""
    return _from(metadata, SliceCheckpoint)


def windows_from(metadata: str) -> WindowCheckpoint | None:
    """Decode a window checkpoint; None as in `slices_from`."""
    return _from(metadata, WindowCheckpoint)


def _from(metadata: str, kind: type[C]) -> C | None:
    if metadata.startswith(_REFERS):
        raise ValueError("this metadata refers to a record: read that record first, or use `checkpoint_in`")
    try:
        return msgspec.json.decode(_unpacked(metadata), type=kind)
    except (msgspec.MsgspecError, zlib.error, ValueError):
        return None


def _unpacked(metadata: str) -> bytes:
    if not metadata.startswith(_PACKED):
        return metadata.encode()
    # Without a limit, anybody with the right to commit or to write states could make a worker unpack gigabytes.
    most_bytes = _PACKED_TIMES * len(metadata)
    return zlib.decompressobj().decompress(base64.b85decode(metadata.removeprefix(_PACKED)), most_bytes)

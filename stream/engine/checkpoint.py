"""What a worker leaves behind in Kafka's group offsets: where to read from, and what it knew there, as one commit."""

import base64
import zlib
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from schemas.frame import NEVER_MS, Lane, Tallies
from stream.errors import BrokerError

# Kafka's default for `offset.metadata.max.bytes`; a commit with more is refused.
METADATA_BYTES = 4096
# A checkpoint that isn't packed begins with a bracket.
_PACKED = "zlib:"
# More than what packs into a commit of ours; whoever may commit could otherwise have a worker unpack gigabytes.
_UNPACKED_BYTES = 1 << 18

C = TypeVar("C", bound=Struct)


class CheckpointError(BrokerError):
    """A checkpoint is too long for a commit."""


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
        By source: the offset from which on it has a lane, where that is past the commit's: what is read again before it
        was rejected.
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


def to_metadata(checkpoint: SliceCheckpoint | WindowCheckpoint) -> str:
    """Return the commit's metadata string: JSON, or where Kafka would refuse that, the same packed.

    Raises
    ------
    CheckpointError
        Packed it is still longer than Kafka takes: too many sources.
    """
    text = msgspec.json.encode(checkpoint)
    if len(text) <= METADATA_BYTES:
        return text.decode()
    packed = _PACKED + base64.b85encode(zlib.compress(text, 9)).decode()
    if len(packed) > METADATA_BYTES or len(text) > _UNPACKED_BYTES:
        raise CheckpointError(
            f"a checkpoint has {len(packed)} bytes and Kafka takes {METADATA_BYTES}: fewer sources in one topic, "
            "or shorter names"
        )
    return packed


def slices_from(metadata: str) -> SliceCheckpoint | None:
    """Return what a commit says, or None where it isn't ours: somebody has set the offset with Kafka's own tools."""
    return _from(metadata, SliceCheckpoint)


def windows_from(metadata: str) -> WindowCheckpoint | None:
    """See `slices_from`."""
    return _from(metadata, WindowCheckpoint)


def _from(metadata: str, kind: type[C]) -> C | None:
    try:
        return msgspec.json.decode(_unpacked(metadata), type=kind)
    except (msgspec.MsgspecError, zlib.error, ValueError):
        return None


def _unpacked(metadata: str) -> bytes:
    if not metadata.startswith(_PACKED):
        return metadata.encode()
    return zlib.decompressobj().decompress(base64.b85decode(metadata.removeprefix(_PACKED)), _UNPACKED_BYTES)

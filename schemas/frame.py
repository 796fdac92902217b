"""Frames: the slices that one flush of one input partition sends to one shard, on the topic ``slices``.

A record of the topic holds a frame, or an array of frames: those of all partitions that one worker owns. Each frame has
its own stamp, lanes and tallies, so a record means what its frames would mean one after the other.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from tickertape.schemas.fields import Source

Whole = Annotated[int, Meta(ge=0, le=2**62)]
#: Before every time: the watermark and the frontier of a lane without events or heartbeats. Its negative is after
#: every time.
NEVER_MS = -(2**62)
#: The format of records. Workers of different formats can't share a group, because the older ones can't read the newer
#: records.
RECORD_FORMAT = 2
#: The most bytes of a record with more than one frame.
RECORD_BYTES = 256 << 10
AnyTimeMs = Annotated[int, Meta(ge=-(2**62), le=2**62)]
# Bits of the column ``shown``: what the fast lane has published with the slice as the frame has it.
SHOWN_OF_SOURCE, SHOWN_OF_ALL = 1, 2


_ALWAYS = ("counted", "late", "rejected", "repeated", "unmatched", "heartbeats")


class Lane(Struct, frozen=True, array_like=True):
    """One source within one partition, and how far its event time is.

    Attributes
    ----------
    source
        The source's name.
    watermark_ms
        The running maximum of the source's accepted event times and heartbeats.
    frontier_ms
        Slices that end at or before it are closed; it never moves back.
    idle
        True while the partition's owner has read to the log's end and received nothing from the source for the idle
        time-out.
    ended
        True if the source's last record is an end marker.
    """

    source: Source
    watermark_ms: AnyTimeMs
    frontier_ms: AnyTimeMs
    idle: bool = False
    ended: bool = False


class Tallies(Struct, array_like=True):
    """What became of every record and event from the log's start to ``upto``, see `offsets`.

    Attributes
    ----------
    counted, late, rejected, repeated, unmatched, heartbeats
        Numbers of records. Each is in exactly one field. In place of a bundle, each of its events is; a bundle that
        can't be unpacked is one rejected record.
    empty
        Offsets without a record: transaction markers, aborted transactions, compacted records.
    lost
        Records that retention deleted before they were read.
    bundles, bundled
        Bundles that were unpacked, and the events that they held.
    """

    counted: Whole = 0
    late: Whole = 0
    rejected: Whole = 0
    repeated: Whole = 0
    unmatched: Whole = 0
    heartbeats: Whole = 0
    empty: Whole = 0
    lost: Whole = 0
    bundles: Whole = 0
    bundled: Whole = 0

    @property
    def events(self) -> int:
        """The number of records other than heartbeats, where in place of a bundle each of its events counts."""
        return self.counted + self.late + self.rejected + self.repeated + self.unmatched

    @property
    def offsets(self) -> int:
        """The number of offsets that the tallies account for, each by a record or by what is in its place."""
        return self.events - self.bundled + self.bundles + self.heartbeats + self.empty + self.lost

    def __str__(self) -> str:
        """Return the sum that makes up the number of offsets; what is rare and 0 is left out."""
        counts = {name: getattr(self, name) for name in self.__struct_fields__}
        bundled = counts.pop("bundled")
        terms = [f"{name} {count:,}" for name, count in counts.items() if count or name in _ALWAYS]
        return " + ".join(terms) + (f" - bundled {bundled:,}" if bundled else "")


class Frame(Struct, frozen=True, array_like=True):
    """Cumulative upserts of slices of one input partition, for the symbols of one shard.

    Attributes
    ----------
    topic, partition
        The input partition that was read.
    epoch
        What decides the contents of slices: slice width, skew and aliases. Frames of different epochs don't mix.
    upto
        The offset up to which the partition has been read. It is the stamp of every upsert in the frame; of a slice's
        upserts, the one with the highest stamp is valid.
    partitions
        The topic's number of partitions, from the owner's metadata and the heartbeats that it has read. A partition
        that has sent no frame yet delays finals.
    idle
        True if the owner has read to the log's end and waited for the idle time-out. Then every source without a lane
        in the partition is idle. If False, the partition delays the results of such sources.
    incomplete
        The event times ``(from, to)``, ms, in which retention deleted records of open slices; None if it deleted none.
    lanes
        Every lane of the partition. A lane's frontier covers the upserts in this frame and in this shard's earlier
        frames.
    tallies
        The tallies of the partition, up to ``upto``.
    sources, symbols
        The names that the columns ``source`` and ``symbol`` index.
    columns
        Little-endian arrays of one length: ``source`` and ``symbol`` (uint32), ``slice_ms`` (int64, the slice's
        start), and the aggregate's columns of numbers. Without slices there may be none. Also, where it isn't 0,
        ``shown`` (uint8): 1 if the provisional result of the finest window that has this slice is published already, 2
        if that of all sources is; 3 if both.
    sketches
        The aggregate's columns of sketches. A sketch is bytes of any length, empty for a slice without values.
    evicted_ms
        The greatest frontier of evicted lanes, ms. A source without a lane in the partition is closed up to this time.
        ``NEVER_MS`` if no lane was evicted.
    behind
        True while the owner has more than 8,192 events of the partition left to read. Provisional results of the topic
        are then out of date, and none are published.
    keyed
        True if all sources of the partition that may go on promise where their keys lie, see `Heartbeat`.
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
    behind: bool = False
    keyed: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode
_decode_all = msgspec.msgpack.Decoder(list[Frame]).decode
# In MessagePack, an array begins with one of these bytes; the longer forms have a length of 2 or 4 bytes after it.
_SHORT_ARRAYS, _ARRAY_2, _ARRAY_4 = range(0x90, 0xA0), 0xDC, 0xDD


def to_records(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the values of the records that hold encoded frames: one, or more if it would be longer than `RECORD_BYTES`.

    A longer frame has a record of its own.
    """
    first, size = 0, 0
    for at, frame in enumerate(frames):
        if size and size + len(frame) > RECORD_BYTES:
            yield _record(frames[first:at])
            first, size = at, 0
        size += len(frame)
    if frames:
        yield _record(frames[first:])


def _record(frames: Sequence[bytes]) -> bytes:
    return frames[0] if len(frames) == 1 else _encode(list(map(msgspec.Raw, frames)))


def frames_in(record: bytes) -> list[Frame]:
    """Decode the frames of a record.

    Raises
    ------
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError
        The record holds no frames.
    """
    # A frame is an array too, and begins with a text.
    first = record[{_ARRAY_2: 3, _ARRAY_4: 5}.get(record[0], 1) :][:1] if record else b""
    if first and (first[0] in _SHORT_ARRAYS or first[0] in (_ARRAY_2, _ARRAY_4)):
        return _decode_all(record)
    return [_decode(record)]

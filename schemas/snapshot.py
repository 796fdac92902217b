"""Snapshots of one shard's windows, and the pieces in which the topic ``window-state`` stores them."""

from msgspec import Struct


class Piece(Struct, frozen=True, array_like=True):
    """A piece of a snapshot: one record on ``window-state``.

    Attributes
    ----------
    group, shard
        The consumer group, and the partition of ``slices``.
    log
        The name of the shard's log, which changes when the topic is created again.
    upto
        The offset up to which the shard had been read.
    writer
        A random name that tells apart snapshots at one offset.
    fingerprint
        What decides the layout of the state. A snapshot with another fingerprint can't be used.
    checksum
        CRC-32 of the whole state.
    number, count
        The number of the piece, from 0, and the number of pieces.
    data
        The bytes of this piece.
    slot
        One of two sets of keys, used in turn. A snapshot that is broken off therefore overwrites nothing of the one
        before it.
    """

    group: str
    shard: int
    log: str
    upto: int
    writer: str
    fingerprint: str
    checksum: int
    number: int
    count: int
    data: bytes
    slot: int = 0


class Snapshot(Struct, frozen=True):
    """A shard's windows, the offset up to which the shard had been read, and the name of its log."""

    log: str
    upto: int
    state: bytes


class Fitting(Struct, frozen=True):
    """A condition for usable snapshots: of one log, at an offset between two, both included."""

    log: str
    oldest: int
    upto: int

    def __contains__(self, snapshot: "Snapshot | Piece") -> bool:
        return self.log == snapshot.log and self.oldest <= snapshot.upto <= self.upto

"""A snapshot of one shard's windows, and the pieces that it is cut into on the topic ``window-state``."""

from msgspec import Struct


class Piece(Struct, frozen=True, array_like=True):
    """One record of those that a snapshot is cut into.

    Attributes
    ----------
    group, shard
        Whose windows: the consumer group, and the partition of ``slices``.
    log
        Which log of that shard: the topic may have been created anew.
    upto
        The offset that the shard had been read to.
    writer
        Tells snapshots at one offset apart.
    fingerprint
        What the state's form hangs on; one of another is of no use.
    checksum
        CRC-32 of the whole state.
    number, count
        Which piece of how many, from 0.
    data
        The state's bytes, cut.
    slot
        Which of two: a snapshot has the keys of the last but one, so that one that is broken off takes nothing away.
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
    """A shard's windows, the offset that it had been read to, and which log's."""

    log: str
    upto: int
    state: bytes


class Fitting(Struct, frozen=True):
    """What snapshots are of use: those of a log made between two offsets, both included."""

    log: str
    oldest: int
    upto: int

    def __contains__(self, snapshot: "Snapshot | Piece") -> bool:
        return self.log == snapshot.log and self.oldest <= snapshot.upto <= self.upto

"""A shard that this worker owns: how far it has been read, and how it resumes from its checkpoint."""

import logging
from collections.abc import Mapping
from secrets import token_hex

import msgspec
from faust.types import TP

from tickertape.schemas.checkpoint import Views, WindowCheckpoint, windows_from
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.recovery.state import State, from_bytes

log = logging.getLogger(__name__)


class OwnedShard(msgspec.Struct):
    """How far a shard has been read.

    Attributes
    ----------
    read
        The offset that is read next.
    upto
        The offset up to which the shard had been read at the checkpoint. Below it, frames are read again and nothing
        is published.
    log_id
        A random name for the shard's log. It changes when the topic is deleted and created again.
    first
        The offset from which derived results can be computed again; None if only a snapshot has their state.
    """

    read: int
    upto: int
    log_id: str
    first: int | None = None

    @property
    def is_restored(self) -> bool:
        """Whether the shard has been read up to its checkpoint."""
        return self.read >= self.upto


class Resumed(msgspec.Struct):
    """A shard that resumes, with what its checkpoint and its snapshot contain.

    Attributes
    ----------
    views
        The frontiers in the checkpoint, by input topic.
    states
        The states in the snapshot, one per windowing; empty without a snapshot.
    lost
        Whether retention deleted frames of open windows.
    from_first
        Whether the shard is read from where it was first read, without a snapshot.
    """

    shard: OwnedShard
    views: Mapping[str, Views]
    states: list[State]
    lost: bool
    from_first: bool


def resume(tp: TP, position: Position, recovery: Recovery | None) -> Resumed:
    """Resume a shard from its checkpoint, and from its snapshot if one fits."""
    position = position.valid(tp)
    saved = windows_from(position.metadata) or WindowCheckpoint()
    shard = OwnedShard(
        read=max(position.committed or 0, position.begin), upto=saved.upto, log_id=saved.log or token_hex(4)
    )
    states = _restore(shard, tp.partition, position, recovery)
    # Frames that are needed for filling alone may be missing: a series is filled again from its next event on.
    needed = position.committed if saved.needed is None else saved.needed
    lost = not states and position.committed is not None and position.begin > (needed or 0)
    first = shard.read if position.committed is None else saved.began
    if not states and first is not None and first >= position.begin:
        shard.first = first
    return Resumed(shard, saved.topics, states, lost, shard.first is not None)


def _restore(shard: OwnedShard, number: int, position: Position, recovery: Recovery | None) -> list[State]:
    """Set a shard back to its snapshot, if there is one that fits; return the states in it."""
    snapshot = recovery.snapshot_for(number, position) if recovery else None
    if recovery is None or snapshot is None:
        return []
    try:
        states = from_bytes(snapshot.state)
    except msgspec.MsgspecError as error:
        log.warning("slices, partition %d: the snapshot can't be read (%s): frames are read again", number, error)
        recovery.discard(number)
        return []
    log.info("slices, partition %d: snapshot at offset %d, commit at offset %d", number, snapshot.upto, shard.upto)
    shard.read = snapshot.upto
    return states

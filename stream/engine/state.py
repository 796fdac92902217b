"""What of the windows outlives a worker besides their commit: when snapshots are made, kept, and taken up again.

A commit is all that is needed: from its offset everything open can be read again. A snapshot spares that. It holds what
a shard's windows were at the offset of a commit, and it is kept only once that commit has come through, so all that it
takes for published is, and a worker that has lost its partitions keeps none.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from typing import Protocol, TypeAlias

from faust.types import TP
from msgspec import Struct

from schemas.topics import SLICES
from stream.engine.checkpoint import windows_from
from stream.engine.transport import Position

log = logging.getLogger(__name__)

# Whatever has not come by then is read again from the frames.
LOAD_SECONDS = 10.0

Commit: TypeAlias = tuple[int, str]


class Snapshot(Struct, frozen=True):
    """A shard's windows, and the offset that it had been read to."""

    upto: int
    state: bytes


class Snapshots(Protocol):
    """Where snapshots are kept."""

    def save(self, shard: int, snapshot: Snapshot) -> None:
        """Keep one; when, and whether it comes through, is nobody's concern."""

    def load(self, within: Mapping[int, tuple[int, int]]) -> AsyncIterator[tuple[int, Snapshot]]:
        """Yield, by shard, the newest whole one made within these offsets (both included), where there is one."""


class Recovery:
    """Has snapshots made one shard at a time, spread over an interval, and taken up by the next owner.

    Parameters
    ----------
    snapshots
        Where they are kept.
    interval_seconds
        Between two of a shard.
    """

    def __init__(self, snapshots: Snapshots, interval_seconds: float) -> None:
        self._snapshots = snapshots
        self._interval_seconds = interval_seconds
        self._due: dict[int, float] = {}
        self._saved: dict[int, int] = {}
        self._packed: dict[TP, tuple[Commit, Snapshot]] = {}
        self._loaded: dict[int, Snapshot] = {}
        self._leaving = False

    async def load(self, positions: Mapping[TP, Position]) -> None:
        """Fetch snapshots that fit these commits, for as long as that may take; see `take`."""
        self._loaded = {}
        shards = {tp.partition: position for tp, position in positions.items() if tp.topic == SLICES.name}
        within = {shard: span for shard, position in shards.items() if (span := _span(position)) is not None}
        if not within:
            return
        # Not `wait_for`: it would wait for the end of what doesn't end.
        task = asyncio.create_task(self._fetch(within))
        try:
            await asyncio.wait((task,), timeout=LOAD_SECONDS)
            if not task.done():
                log.warning("snapshots were not there in %g s: frames are read again", LOAD_SECONDS)
        finally:
            task.cancel()

    async def _fetch(self, within: Mapping[int, tuple[int, int]]) -> None:
        loaded = self._loaded
        try:
            async for shard, snapshot in self._snapshots.load(within):
                loaded[shard] = snapshot
        except Exception as error:  # whatever it is, there is another way
            log.warning("snapshots can't be read (%s): frames are read again", error)

    def begin(self, shards: list[int]) -> None:
        """Hear which shards this worker has from now on."""
        now, step = monotonic(), self._interval_seconds / max(len(shards), 1)
        self._due = {shard: now + step * (i + 1) for i, shard in enumerate(sorted(shards))}
        self._saved, self._packed = {}, {}

    def take(self, shard: int, position: Position) -> Snapshot | None:
        """Return what was fetched for a shard, if it fits the commit that it is taken up from."""
        snapshot, span = self._loaded.pop(shard, None), _span(position)
        if snapshot is None or span is None or not span[0] <= snapshot.upto <= span[1]:
            return None
        self._saved[shard] = snapshot.upto
        return snapshot

    def leave(self) -> None:
        """Have every shard's state kept with the next commit, which is the last."""
        self._leaving = True

    def pack(self, commits: Mapping[TP, Commit], read: Mapping[int, int], pack: Callable[[int], bytes]) -> None:
        """Make the snapshots that are due, of shards as they are at these commits.

        Parameters
        ----------
        commits
            What is about to be committed.
        read
            The offset that each shard has been read to, which is what its commit speaks of.
        pack
            Makes a shard's state bytes.
        """
        now = monotonic()
        due = sorted(self._due, key=self._due.__getitem__)
        if not self._leaving:
            due = [shard for shard in due[:1] if self._due[shard] <= now]
        self._packed = {}
        for tp, commit in commits.items():
            shard = tp.partition
            if shard in due:
                self._due[shard] = now + self._interval_seconds
                if self._saved.get(shard) != read[shard]:
                    self._packed[tp] = commit, Snapshot(read[shard], pack(shard))

    def committed(self, offsets: Mapping[TP, Commit]) -> None:
        """Keep the snapshots whose commit has come through."""
        for tp, commit in offsets.items():
            of, snapshot = self._packed.get(tp, (None, None))
            if snapshot is not None and of == commit:
                del self._packed[tp]
                self._saved[tp.partition] = snapshot.upto
                self._snapshots.save(tp.partition, snapshot)


def _span(position: Position) -> tuple[int, int] | None:
    """Return the offsets between which a snapshot is of use, or None where none is: nothing has to be read again.

    One from before the commit's offset would have more read again than the commit. One past what the commit speaks of
    may take results for published that aren't.
    """
    if position.committed is None or not position.metadata or position.committed > position.end:
        return None
    oldest, upto = max(position.committed, position.begin), windows_from(position.metadata).upto
    return (oldest, upto) if position.committed < upto <= position.end and oldest <= upto else None

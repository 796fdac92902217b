"""When snapshots of windows are made and saved, and how the next owner of a shard loads them.

A commit alone is enough: from its offset everything open can be read again. A snapshot saves that reading. It holds the
state of a shard's windows at a commit, and is saved only after that commit has succeeded. So everything that it counts
as published is published, and a worker that has lost its partitions saves none.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from typing import Protocol, TypeAlias

from faust.types import TP

from tickertape.schemas.checkpoint import windows_from
from tickertape.schemas.snapshot import Fitting, Snapshot
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.positions import Commit, Position
from tickertape.stream.telemetry.metrics import SNAPSHOT_BYTES, SNAPSHOT_TIMESTAMP

log = logging.getLogger(__name__)

# If a snapshot doesn't arrive within this time, frames are read again instead.
LOAD_SECONDS = 10.0
# State that frames can't bring back is requested this many times, with this pause, before it is given up.
NEEDED_TRIES = 6
AGAIN_SECONDS = 1.0

#: The number of the assignment, and the offset of each shard's newest saved snapshot.
Sent: TypeAlias = tuple[int, dict[int, int]]


class Snapshots(Protocol):
    """Stores snapshots."""

    def save(self, shard: int, snapshot: Snapshot) -> None:
        """Send a snapshot to the store, without waiting for its delivery."""

    def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        """Yield (shard, snapshot) for each shard that has a complete snapshot that fits; the newest one."""


class Recovery:
    """Makes snapshots of one shard at a time, spread over an interval, and loads them for the next owner.

    Parameters
    ----------
    snapshots
        The store.
    interval_seconds
        The time between two snapshots of a shard.
    needed
        Whether snapshots hold state that frames can't bring back. Then loading them is tried more often.
    """

    def __init__(self, snapshots: Snapshots, interval_seconds: float, *, needed: bool = False) -> None:
        self._snapshots = snapshots
        self._interval_seconds = interval_seconds
        self._tries = NEEDED_TRIES if needed else 1
        self._due: dict[int, float] = {}
        self._saved: dict[int, int] = {}
        self._kept: dict[int, int] = {}
        self._packed: dict[TP, tuple[Commit, Snapshot]] = {}
        self._loaded: dict[int, Snapshot] = {}
        self._leaving = False
        self._turn = 0

    async def load(self, positions: Mapping[TP, Position]) -> None:
        """Load the snapshots that fit these commits, within a limited time; `snapshot_for` returns them."""
        shards = {tp.partition: position for tp, position in positions.items() if tp.topic == SLICES.name}
        wanted = {shard: fitting for shard, position in shards.items() if (fitting := _fitting(position)) is not None}
        self._loaded = {shard: snapshot for shard, snapshot in self._loaded.items() if shard in wanted}
        if not wanted:
            return
        for left in range(self._tries)[::-1]:
            otherwise = "trying again" if left else "frames are read again"
            # Not `wait_for`: that would wait for the end of a task that doesn't end.
            # Snapshots that another call has loaded for a coming restore are kept; `snapshot_for` checks that they fit.
            task = asyncio.create_task(self._fetch(wanted, otherwise))
            try:
                await asyncio.wait((task,), timeout=LOAD_SECONDS)
                if not task.done():
                    log.warning("snapshots did not arrive within %g s: %s", LOAD_SECONDS, otherwise)
                elif task.result():
                    return
            finally:
                task.cancel()
            if left:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _fetch(self, wanted: Mapping[int, Fitting], otherwise: str) -> bool:
        try:
            async for shard, snapshot in self._snapshots.load(wanted):
                known = self._loaded.get(shard)
                if known is None or known not in wanted[shard] or snapshot.upto >= known.upto:
                    self._loaded[shard] = snapshot
        except Exception as error:  # whatever it is, frames can be read again instead
            log.warning("snapshots can't be read (%s): %s", error, otherwise)
            return False
        return True

    def begin(self, shards: list[int]) -> None:
        """Begin an assignment: these are the worker's shards from now on."""
        now, step = monotonic(), self._interval_seconds / max(len(shards), 1)
        self._due = {shard: now + step * (i + 1) for i, shard in enumerate(sorted(shards))}
        self._saved, self._packed, self._kept = {}, {}, {}
        self._turn += 1
        SNAPSHOT_BYTES.clear()
        SNAPSHOT_TIMESTAMP.clear()

    def snapshot_for(self, shard: int, position: Position) -> Snapshot | None:
        """Return the snapshot loaded for a shard, if it fits the commit that the shard resumes from."""
        snapshot, fitting = self._loaded.get(shard), _fitting(position)
        if snapshot is None or fitting is None or snapshot not in fitting:
            return None
        self._saved[shard] = self._kept[shard] = snapshot.upto
        return snapshot

    def discard(self, shard: int) -> None:
        """Record that the snapshot from `snapshot_for` can't be used."""
        self._saved.pop(shard, None)
        self._kept.pop(shard, None)

    def kept(self, shard: int) -> int | None:
        """Return the offset of a shard's newest snapshot that was surely delivered, or None."""
        return self._kept.get(shard)

    def leave(self) -> None:
        """Make a snapshot of every shard with the next commit, which is the last."""
        self._leaving = True

    def pack(self, commits: Mapping[TP, Commit], read: Mapping[int, int], make: Callable[[int], Snapshot]) -> None:
        """Make the snapshots that are due, from the state of shards at these commits.

        Parameters
        ----------
        commits
            The commits to be sent.
        read
            The offset that each shard has been read to, and that its commit describes.
        make
            Makes the snapshot of a shard.
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
                    self._packed[tp] = commit, make(shard)

    def sent(self) -> Sent:
        """Return which snapshots are saved by now, for `delivered`."""
        return self._turn, dict(self._saved)

    def delivered(self, sent: Sent) -> None:
        """Record that the snapshots which `sent` returned were delivered."""
        turn, saved = sent
        if turn == self._turn:
            self._kept |= saved

    def committed(self, offsets: Mapping[TP, Commit]) -> None:
        """Save the snapshots whose commit has succeeded."""
        for tp, commit in offsets.items():
            of, snapshot = self._packed.get(tp, (None, None))
            if snapshot is not None and of == commit:
                del self._packed[tp]
                self._saved[tp.partition] = snapshot.upto
                # It was loaded for a restore that is over.
                self._loaded.pop(tp.partition, None)
                self._snapshots.save(tp.partition, snapshot)
                SNAPSHOT_BYTES.labels(tp.partition).set(len(snapshot.state))
                SNAPSHOT_TIMESTAMP.labels(tp.partition).set_to_current_time()


def _fitting(position: Position) -> Fitting | None:
    """Return which snapshots can be used with a commit, or None if none can.

    With a snapshot from before the commit's offset more is read again than without it. One past the commit's ``upto``
    may count results as published that aren't.
    """
    saved = windows_from(position.metadata)
    if position.committed is None or saved is None or position.committed > position.end:
        return None
    oldest = max(position.committed, position.begin)
    fits = saved.log and saved.upto <= position.end and oldest <= saved.upto
    return Fitting(saved.log, oldest, saved.upto) if fits else None

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

from tickertape.schemas.checkpoint import windows_from
from tickertape.schemas.snapshot import Fitting, Snapshot
from tickertape.schemas.topics import SLICES
from tickertape.stream.engine.core.positions import Commit, Position
from tickertape.stream.telemetry.metrics import SNAPSHOT_BYTES, SNAPSHOT_TIMESTAMP

log = logging.getLogger(__name__)

# Whatever has not come by then is read again from the frames.
LOAD_SECONDS = 10.0
# What can't be read again is asked for as often before it is given up, so long apart.
NEEDED_TRIES = 6
AGAIN_SECONDS = 1.0

#: Since when shards are this worker's, and the offset of each one's snapshot.
Sent: TypeAlias = tuple[int, dict[int, int]]


class Snapshots(Protocol):
    """Where snapshots are kept."""

    def save(self, shard: int, snapshot: Snapshot) -> None:
        """Keep one; when, and whether it comes through, is nobody's concern."""

    def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        """Yield, by shard, the newest whole one that fits, where there is one."""


class Recovery:
    """Has snapshots made one shard at a time, spread over an interval, and taken up by the next owner.

    Parameters
    ----------
    snapshots
        Where they are kept.
    interval_seconds
        Between two of a shard.
    needed
        Whether they hold what can't be read again from the frames: then more time is taken to find them.
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
        """Fetch snapshots that fit these commits, for as long as that may take; see `take`."""
        shards = {tp.partition: position for tp, position in positions.items() if tp.topic == SLICES.name}
        wanted = {shard: fitting for shard, position in shards.items() if (fitting := _fitting(position)) is not None}
        self._loaded = {shard: snapshot for shard, snapshot in self._loaded.items() if shard in wanted}
        if not wanted:
            return
        for left in range(self._tries)[::-1]:
            otherwise = "it is tried again" if left else "frames are read again"
            # Not `wait_for`: it would wait for the end of what doesn't end.
            # What another call has fetched for a restore that is to come stays: `take` looks whether it fits.
            task = asyncio.create_task(self._fetch(wanted, otherwise))
            try:
                await asyncio.wait((task,), timeout=LOAD_SECONDS)
                if not task.done():
                    log.warning("snapshots were not there in %g s: %s", LOAD_SECONDS, otherwise)
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
        except Exception as error:  # whatever it is, there is another way
            log.warning("snapshots can't be read (%s): %s", error, otherwise)
            return False
        return True

    def begin(self, shards: list[int]) -> None:
        """Hear which shards this worker has from now on."""
        now, step = monotonic(), self._interval_seconds / max(len(shards), 1)
        self._due = {shard: now + step * (i + 1) for i, shard in enumerate(sorted(shards))}
        self._saved, self._packed, self._kept = {}, {}, {}
        self._turn += 1
        SNAPSHOT_BYTES.clear()
        SNAPSHOT_TIMESTAMP.clear()

    def snapshot_for(self, shard: int, position: Position) -> Snapshot | None:
        """Return what was fetched for a shard, if it fits the commit that it is taken up from."""
        snapshot, fitting = self._loaded.get(shard), _fitting(position)
        if snapshot is None or fitting is None or snapshot not in fitting:
            return None
        self._saved[shard] = self._kept[shard] = snapshot.upto
        return snapshot

    def discard(self, shard: int) -> None:
        """Hear that what `take` returned can't be used."""
        self._saved.pop(shard, None)
        self._kept.pop(shard, None)

    def kept(self, shard: int) -> int | None:
        """Return the offset of a shard's newest snapshot that is surely kept, or None."""
        return self._kept.get(shard)

    def leave(self) -> None:
        """Have every shard's state kept with the next commit, which is the last."""
        self._leaving = True

    def pack(self, commits: Mapping[TP, Commit], read: Mapping[int, int], make: Callable[[int], Snapshot]) -> None:
        """Make the snapshots that are due, of shards as they are at these commits.

        Parameters
        ----------
        commits
            What is about to be committed.
        read
            The offset that each shard has been read to, which is what its commit speaks of.
        make
            Makes a shard's.
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
        """Return what is saved by now, for `delivered`."""
        return self._turn, dict(self._saved)

    def delivered(self, sent: Sent) -> None:
        """Hear that what was saved has come through."""
        turn, saved = sent
        if turn == self._turn:
            self._kept |= saved

    def committed(self, offsets: Mapping[TP, Commit]) -> None:
        """Keep the snapshots whose commit has come through."""
        for tp, commit in offsets.items():
            of, snapshot = self._packed.get(tp, (None, None))
            if snapshot is not None and of == commit:
                del self._packed[tp]
                self._saved[tp.partition] = snapshot.upto
                # It was there for a restore that is over.
                self._loaded.pop(tp.partition, None)
                self._snapshots.save(tp.partition, snapshot)
                SNAPSHOT_BYTES.labels(tp.partition).set(len(snapshot.state))
                SNAPSHOT_TIMESTAMP.labels(tp.partition).set_to_current_time()


def _fitting(position: Position) -> Fitting | None:
    """Return which snapshots are of use, or None where none is.

    One from before the commit's offset would have more read again than the commit. One past what the commit speaks of
    may take results for published that aren't.
    """
    saved = windows_from(position.metadata)
    if position.committed is None or saved is None or position.committed > position.end:
        return None
    oldest = max(position.committed, position.begin)
    fits = saved.log and saved.upto <= position.end and oldest <= saved.upto
    return Fitting(saved.log, oldest, saved.upto) if fits else None

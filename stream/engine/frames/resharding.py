"""Splits the frames of all shards into frames for another number of shards; pure, without Kafka."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from tickertape.schemas.checkpoint import Views, WindowCheckpoint
from tickertape.schemas.frame import NEVER_MS, Frame, Lane
from tickertape.stream.kafka.partition import partition_for


class Resharding:
    """Splits frames as they are read. Shards may be read in any order, but each one in offset order.

    A lane's frontier covers what came before it in its own shard. A new shard takes upserts of all old shards, so it
    gets the least of their frontiers. Upserts that an old shard would have left out as a zombie's are left out here.

    Parameters
    ----------
    before, after
        The old and the new number of shards.
    slice_ms, epoch
        See `Settings`; frames of another epoch are left out.
    """

    def __init__(self, before: int, after: int, *, slice_ms: int, epoch: str) -> None:
        self._before = before
        self._after = after
        self._slice_ms = slice_ms
        self._epoch = epoch
        # By (topic, partition) and source: each old shard's (watermark, frontier).
        self._lanes: dict[tuple[str, int], dict[str, dict[int, tuple[int, int]]]] = {}
        self._newest: dict[tuple[str, int], Frame] = {}

    def split(self, shard: int, frame: Frame) -> list[tuple[int, Frame]]:
        """Split a frame of an old shard, and return (new shard, frame) for each part."""
        if frame.epoch != self._epoch:
            return []
        origin = frame.topic, frame.partition
        lanes = self._lanes.setdefault(origin, {})
        rows = self._open(shard, frame)
        for lane in frame.lanes:
            said = lanes.setdefault(lane.source, {})
            watermark_ms, frontier_ms = said.get(shard, (NEVER_MS, NEVER_MS))
            said[shard] = max(watermark_ms, lane.watermark_ms), max(frontier_ms, lane.frontier_ms)
        if frame.upto >= (newest.upto if (newest := self._newest.get(origin)) else NEVER_MS):
            self._newest[origin] = frame
        if not len(rows):
            return []
        symbol = np.frombuffer(frame.columns["symbol"], "<u4")[rows]
        shard_of = np.array([partition_for(name, self._after) for name in frame.symbols])[symbol]
        # Idle, ended and evicted lanes are reported at the end: until then more frames of an old shard may have upserts
        # of these lanes.
        told = msgspec.structs.replace(frame, idle=False, lanes=self._least(origin), evicted_ms=NEVER_MS)
        return [(int(new), _cut(told, rows[shard_of == new])) for new in np.unique(shard_of)]

    def _open(self, shard: int, frame: Frame) -> Any:
        """Return the rows that the old shard would have taken."""
        start_ms = np.frombuffer(frame.columns.get("slice_ms", b""), "<i8")
        if not len(start_ms):
            return start_ms
        lanes = self._lanes[frame.topic, frame.partition]
        passed_ms = np.array([lanes.get(source, {}).get(shard, (NEVER_MS, NEVER_MS))[1] for source in frame.sources])
        source = np.frombuffer(frame.columns["source"], "<u4")
        return np.flatnonzero(start_ms + self._slice_ms > passed_ms[source])

    def _least(self, origin: tuple[str, int]) -> list[Lane]:
        least = []
        for source, said in self._lanes[origin].items():
            if len(said) == self._before:
                watermark_ms, frontier_ms = (min(times) for times in zip(*said.values(), strict=True))
                least.append(Lane(source, watermark_ms, frontier_ms))
        return least

    def lanes(self, *, end: bool = False) -> list[tuple[int, Frame]]:
        """Return frames without upserts, which report the lanes to every new shard.

        Parameters
        ----------
        end
            True once everything has been read. Then the frames also report idle, ended and evicted lanes.
        """
        frames = []
        for origin, newest in self._newest.items():
            least = self._least(origin)
            if end:
                now = {lane.source: lane for lane in newest.lanes}
                least = [
                    msgspec.structs.replace(lane, idle=now[lane.source].idle, ended=now[lane.source].ended)
                    for lane in least
                    if lane.source in now
                ]
            told = msgspec.structs.replace(
                newest, idle=newest.idle and end, lanes=least, evicted_ms=newest.evicted_ms if end else NEVER_MS
            )
            empty = _cut(told, np.empty(0, np.int64))
            frames += [(shard, empty) for shard in range(self._after)]
        return frames


def _cut(frame: Frame, rows: Any) -> Frame:
    """Return a frame with only some of its rows, and the names that these use."""
    if not len(rows):
        return msgspec.structs.replace(frame, sources=[], symbols=[], columns={}, sketches={})
    columns: dict[str, bytes] = {}
    names: dict[str, list[str]] = {}
    n = len(frame.columns["slice_ms"]) // 8
    for name, data in frame.columns.items():
        # The type doesn't matter here: each item is a number of bytes.
        column = np.frombuffer(data, np.dtype((np.void, len(data) // n)))[rows]
        columns[name] = column.tobytes()
    for name, known in (("source", frame.sources), ("symbol", frame.symbols)):
        used, codes = np.unique(np.frombuffer(columns[name], "<u4"), return_inverse=True)
        names[name] = [known[code] for code in used.tolist()]
        columns[name] = codes.astype("<u4").tobytes()
    sketches = {name: [held[row] for row in rows.tolist()] for name, held in frame.sketches.items()}
    return msgspec.structs.replace(
        frame, sources=names["source"], symbols=names["symbol"], columns=columns, sketches=sketches
    )


def merged(checkpoints: Sequence[WindowCheckpoint]) -> dict[str, Views]:
    """Return a new shard's views, by topic: those of all old shards merged."""
    topics = {topic for checkpoint in checkpoints for topic in checkpoint.topics}
    return {topic: _merged([checkpoint.topics.get(topic, Views()) for checkpoint in checkpoints]) for topic in topics}


def _merged(views: list[Views]) -> Views:
    forgotten_ms = [view.forgotten_ms for view in views]
    return Views(
        max(view.partitions for view in views),
        _least_of([view.folded for view in views], forgotten_ms),
        _least_of([view.final for view in views], forgotten_ms),
        # ``folded`` above is the least of all shards, so the times in any shard's ``added`` are late enough.
        max((view.added for view in views), key=lambda added: [first for first, _ in added]),
        max(forgotten_ms),
    )


def _least_of(times_ms: Sequence[dict[str, int]], unknown_ms: Sequence[int]) -> dict[str, int]:
    sources = {source for times in times_ms for source in times}
    return {
        source: min(times.get(source, other) for times, other in zip(times_ms, unknown_ms, strict=True))
        for source in sorted(sources)
    }

"""Limits the number of sources with a lane in a partition: a new source may replace a silent one."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from heapq import heappop, heappush
from operator import eq, itemgetter

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.slices.decode import Decoded

# The kinds of messages of a source without a lane: a record, a heartbeat, an end marker.
_RECORD, _BEAT, _END = range(3)
# Past every offset.
_NEVER = np.iinfo(np.int64).max


class SourceLimit:
    """Admits and evicts lanes. Only event times and the partition's order count, so every reader decides alike.

    Parameters
    ----------
    most_sources
        The most lanes of a partition.
    silence_ms
        How far the least watermark has to be behind a new source's record for that lane to be evicted, ms.
    end_ms
        Takes a time, and returns the end of its slice, ms.
    """

    def __init__(self, most_sources: int, silence_ms: int, end_ms: Callable[[int], int]) -> None:
        self._most_sources = most_sources
        self._silence_ms = silence_ms
        self._end_ms = end_ms

    def parts(self, block: Block, decoded: Decoded, names: list[str], lanes: Lanes) -> Iterator[Decoded]:
        """Admit new sources; yield the records and heartbeats of sources with a lane, in parts. Reject the others.

        A heartbeat of a source that gets no lane is ignored, and an end marker evicts no lane.

        Which lane is evicted depends on all records before, so each part must be folded before the next is requested.
        There is only one part unless a lane may be evicted.

        Parameters
        ----------
        block, decoded
            The block, and its decoded records.
        names
            The sources, by code.
        lanes
            The partition's lanes; changed.
        """
        firsts = _firsts(decoded, names, lanes)
        if self._has_room(firsts, lanes):
            for source, at in sorted(firsts.items(), key=itemgetter(1)):
                lanes.admit(source, int(block.offsets[at]), block.index_of(at) or 0)
            yield decoded
            return
        news = _of(decoded, names, firsts.__contains__)
        # A lower bound: watermarks move when a part is folded, which may be later.
        behind_ms, first, surplus = lanes.least_watermark_ms, 0, dict[int, int]()
        while news:
            at, source, time_ms, kind = heappop(news)
            if source in lanes.watermark_ms:
                continue
            if kind != _END and behind_ms < time_ms - self._silence_ms and not self._has_room((source,), lanes):
                yield decoded.between(first, at).without(surplus)
                first = at
                for evicted in self._make_room(source, time_ms, lanes):
                    # From here on, the evicted source is a new one too.
                    for later in _of(decoded, names, partial(eq, evicted)):
                        if later[0] > at:
                            heappush(news, later)
                behind_ms = lanes.least_watermark_ms
            if self._has_room((source,), lanes):
                lanes.admit(source, int(block.offsets[at]), block.index_of(at) or 0)
                behind_ms = NEVER_MS
            else:
                surplus[at] = kind
        reason = (
            f"too many sources in the partition: most_sources is {self._most_sources}, "
            f"and no source has been silent for {self._silence_ms} ms of event time"
        )
        decoded.rejects.extend((at, reason) for at, kind in surplus.items() if kind == _RECORD)
        yield decoded.between(first, len(block)).without(surplus)

    def _has_room(self, sources: Collection[str], lanes: Lanes) -> bool:
        """Return whether all of these sources can get a lane without an eviction."""
        return not sources or len(lanes.watermark_ms) + len(sources) <= self._most_sources

    def _make_room(self, source: str, time_ms: int, lanes: Lanes) -> Iterator[str]:
        # After `most_sources` was lowered, several lanes have to be evicted.
        while not self._has_room((source,), lanes):
            watermark_ms, slowest = lanes.furthest_behind()
            if watermark_ms >= time_ms - self._silence_ms:
                break
            lanes.evict(slowest, self._end_ms(watermark_ms))
            yield slowest


def readmitted(block: Block, decoded: Decoded, names: list[str], lanes: Lanes) -> Decoded:
    """Return the records of sources that had a lane when they were first read. The others stay rejected."""
    admitted_at = {source: lanes.admitted_at.get(source, (0, 0)) for source in lanes.watermark_ms}
    first, event = np.array([admitted_at.get(name, (_NEVER, 0)) for name in names] or [(_NEVER, 0)]).T
    offsets, code = block.offsets[decoded.at], decoded.source
    since = offsets >= first[code]
    if block.index is not None:
        # A single record has the index -1, and a lane that it opens has no event before it.
        since &= (offsets > first[code]) | (np.maximum(block.index[decoded.at], 0) >= event[code])
    with_lane = decoded.where(since)
    with_lane.heartbeats[:] = [
        (at, beat)
        for at, beat in with_lane.heartbeats
        if int(block.offsets[at]) >= admitted_at.get(beat.source, (_NEVER, 0))[0]
    ]
    return with_lane


def _firsts(decoded: Decoded, names: list[str], lanes: Lanes) -> dict[str, int]:
    """Return the first place of each source without a lane."""
    known = lanes.watermark_ms
    firsts: dict[str, int] = {}
    rows = _rows(decoded, names, lambda name: name not in known)
    if len(rows):
        codes, first = np.unique(decoded.source[rows], return_index=True)
        places = decoded.at[rows[first]].tolist()
        firsts = {names[code]: place for code, place in zip(codes.tolist(), places, strict=True)}
    for at, beat in decoded.heartbeats:
        if beat.source not in known:
            firsts[beat.source] = min(at, firsts.get(beat.source, at))
    return firsts


def _of(decoded: Decoded, names: list[str], wanted: Callable[[str], bool]) -> list[tuple[int, str, int, int]]:
    """Return place, source, time and kind of the records and heartbeats of the wanted sources, by place."""
    found = [
        (at, beat.source, beat.time_ms, _END if beat.end else _BEAT)
        for at, beat in decoded.heartbeats
        if wanted(beat.source)
    ]
    rows = _rows(decoded, names, wanted)
    columns = (column[rows].tolist() for column in (decoded.at, decoded.source, decoded.time_ms))
    found += [(at, names[code], time_ms, _RECORD) for at, code, time_ms in zip(*columns, strict=True)]
    return sorted(found)


def _rows(decoded: Decoded, names: list[str], wanted: Callable[[str], bool]) -> Ints:
    """Return the indices of the records of the wanted sources."""
    mask = [wanted(name) for name in names]
    return np.flatnonzero(np.array(mask)[decoded.source]) if any(mask) else np.empty(0, np.int64)

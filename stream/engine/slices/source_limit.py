"""Which sources of a partition have a lane: there is room for so many, and a silent one makes room for a new one."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from heapq import heappop, heappush
from operator import eq, itemgetter

import numpy as np

from tickertape.stream.engine.core.block import Block, Ints
from tickertape.stream.engine.core.lanes import UNSET, Lanes
from tickertape.stream.engine.slices.decode import Decoded

# What is of a source without a lane.
_RECORD, _BEAT, _END = range(3)
# Past every offset.
_NEVER = np.iinfo(np.int64).max


class SourceLimit:
    """Decides by event time and in the partition's order, so that whoever reads the log decides alike.

    Parameters
    ----------
    most_sources
        How many lanes there may be.
    silence_ms
        How far behind a new source's record the most silent lane has to be, to be evicted for it.
    end_ms
        Returns when the slice of a time ends.
    """

    def __init__(self, most_sources: int, silence_ms: int, end_ms: Callable[[int], int]) -> None:
        self._most_sources = most_sources
        self._silence_ms = silence_ms
        self._end_ms = end_ms

    def parts(self, block: Block, decoded: Decoded, names: list[str], lanes: Lanes) -> Iterator[Decoded]:
        """Yield what a block holds of sources with a lane, in order, and admit new ones; other records are rejected.

        A heartbeat of a source without room is ignored, and an end marker evicts no lane.

        Whether a lane is silent depends on every record before, so each part has to be folded before the next one is
        asked for. There is only one part unless a lane may be evicted.

        Parameters
        ----------
        block, decoded
            The block, and what it holds that may count.
        names
            The sources, by code.
        lanes
            The partition's; changed.
        """
        firsts = _firsts(decoded, names, lanes)
        if self._has_room(firsts, lanes):
            for source, at in sorted(firsts.items(), key=itemgetter(1)):
                lanes.admit(source, int(block.offsets[at]))
            yield decoded
            return
        news = _of(decoded, names, firsts.__contains__)
        # By what has been folded, which may be less than what comes before.
        behind_ms, first, surplus = lanes.least_ms, 0, dict[int, int]()
        while news:
            at, source, time_ms, kind = heappop(news)
            if source in lanes.watermark_ms:
                continue
            if kind != _END and behind_ms < time_ms - self._silence_ms and not self._has_room((source,), lanes):
                yield decoded.between(first, at).without(surplus)
                first = at
                for evicted in self._make_room(source, time_ms, lanes):
                    # From here on it is a new one too.
                    for later in _of(decoded, names, partial(eq, evicted)):
                        if later[0] > at:
                            heappush(news, later)
                behind_ms = lanes.least_ms
            if self._has_room((source,), lanes):
                lanes.admit(source, int(block.offsets[at]))
                behind_ms = UNSET
            else:
                surplus[at] = kind
        reason = (
            f"one source too many in its partition: most_sources is {self._most_sources}, "
            f"and none has been silent for {self._silence_ms} ms of event time"
        )
        decoded.rejects.extend((at, reason) for at, kind in surplus.items() if kind == _RECORD)
        yield decoded.between(first, len(block)).without(surplus)

    def _has_room(self, sources: Collection[str], lanes: Lanes) -> bool:
        """Return whether there is room for some more."""
        return not sources or len(lanes.watermark_ms) + len(sources) <= self._most_sources

    def _make_room(self, source: str, time_ms: int, lanes: Lanes) -> Iterator[str]:
        # More than one, where the settings had room for more before.
        while not self._has_room((source,), lanes):
            watermark_ms, silent = lanes.most_silent()
            if watermark_ms >= time_ms - self._silence_ms:
                break
            lanes.evict(silent, self._end_ms(watermark_ms))
            yield silent


def readmitted(block: Block, decoded: Decoded, names: list[str], lanes: Lanes) -> Decoded:
    """Return the records of sources that had a lane at that offset: what was rejected then stays rejected."""
    since = {source: lanes.since.get(source, 0) for source in lanes.watermark_ms}
    first = np.array([since.get(name, _NEVER) for name in names] or [_NEVER])
    offsets = block.offsets
    found = decoded.where(offsets[decoded.at] >= first[decoded.source])
    found.heartbeats[:] = [(at, beat) for at, beat in found.heartbeats if offsets[at] >= since.get(beat.source, _NEVER)]
    return found


def _firsts(decoded: Decoded, names: list[str], lanes: Lanes) -> dict[str, int]:
    """Return the first place of each source that has no lane."""
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
    """Return place, source, time and kind of what is of some sources, in order."""
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
    """Return which records are of some sources."""
    mask = [wanted(name) for name in names]
    return np.flatnonzero(np.array(mask)[decoded.source]) if any(mask) else np.empty(0, np.int64)

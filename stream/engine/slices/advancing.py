"""Moving the lanes of a partition by records and heartbeats, in the order of their offsets."""

import numpy as np

from tickertape.schemas.frame import NEVER_MS
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.lanes import Lanes
from tickertape.stream.engine.slices.decode import Decoded


def stored_frontiers(lanes: Lanes, decoded: Decoded, names: list[str]) -> Ints:
    """Return the current frontier of each record's lane, ms, shape (n,); ``names`` are the sources by code."""
    stored = np.array([lanes.frontier_ms.get(name, NEVER_MS) for name in names] or [NEVER_MS])
    return stored[decoded.source]


def advance(lanes: Lanes, decoded: Decoded, names: list[str], slice_ms: int, active: set[str]) -> Ints:
    """Move the lanes, and return the frontier just before each record, ms, shape (n,).

    Parameters
    ----------
    decoded
        n records and their heartbeats.
    names
        The sources, by code.
    slice_ms
        A slice's width, ms: an end marker closes the slice of the watermark.
    active
        A set to which the sources of these records and heartbeats are added.
    """
    source = decoded.source
    frontier_before = np.empty(len(decoded), np.int64)
    beats: dict[str, list[tuple[int, Heartbeat]]] = {}
    for at, beat in decoded.heartbeats:
        beats.setdefault(beat.source, []).append((at, beat))
    codes = np.flatnonzero(np.bincount(source, minlength=1)).tolist() if len(source) else []
    for code in codes:
        # Mostly a block has one source.
        name, rows = names[code], slice(None) if len(codes) == 1 else np.flatnonzero(source == code)
        active.add(name)
        own_beats = beats.pop(name, None)
        if own_beats is None:
            frontier_before[rows] = lanes.advance(name, decoded.time_ms[rows])
            continue
        frontier_before[rows] = _with_heartbeats(
            lanes, name, decoded.at[rows], decoded.time_ms[rows], own_beats, slice_ms
        )
    for name, own_beats in beats.items():
        active.add(name)
        _with_heartbeats(lanes, name, np.empty(0, np.int64), np.empty(0, np.int64), own_beats, slice_ms)
    return frontier_before


def _with_heartbeats(
    lanes: Lanes, source: str, at: Ints, time_ms: Ints, beats: list[tuple[int, Heartbeat]], slice_ms: int
) -> Ints:
    places = np.concatenate([at, [place for place, _ in beats]])
    times = np.concatenate([time_ms, [beat.time_ms for _, beat in beats]])
    order = np.argsort(places, kind="stable")
    in_order, first = np.empty(len(order), np.int64), 0
    ends = np.flatnonzero(np.isin(places[order], [place for place, beat in beats if beat.end]))
    for last in ends.tolist():
        in_order[order[first : last + 1]] = lanes.advance(source, times[order[first : last + 1]])
        lanes.end(source, (lanes.watermark_ms[source] // slice_ms + 1) * slice_ms)
        first = last + 1
    if first < len(order):
        in_order[order[first:]] = lanes.advance(source, times[order[first:]])
    return in_order[: len(at)]

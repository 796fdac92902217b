"""What becomes of each record of a log, in plain Python, one by one and without the engine."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.engine.blocks import HOUR_MS, Log, Slice, SliceKey

SLICE_MS, SKEW_MS = 1000, 5000


@dataclass
class Judged:
    tallies: Counter[str] = field(default_factory=Counter)
    late_by_ms: dict[int, int] = field(default_factory=dict)  # by offset
    rejected: set[int] = field(default_factory=set)
    slices: dict[SliceKey, Slice] = field(default_factory=dict)
    watermark_ms: dict[str, int] = field(default_factory=dict)
    frontier_ms: dict[str, int] = field(default_factory=dict)


def judge(log: Log, lateness_ms: Mapping[int, int] | None = None) -> Judged:
    """Judge a whole log; lateness by the offset from which it was in force."""
    lateness_by_offset, lateness = lateness_ms or {0: 2000}, 0
    judged, seen = Judged(), set()
    block = log.block()
    place = {offset: i for i, offset in enumerate(block.offsets.tolist())}

    def move(source: str, time_ms: int) -> None:
        watermark = judged.watermark_ms[source] = max(time_ms, judged.watermark_ms.get(source, time_ms))
        frontier = judged.frontier_ms.get(source, watermark - lateness)
        judged.frontier_ms[source] = max(frontier, watermark - lateness)

    for offset in range(block.end):
        lateness = lateness_by_offset.get(offset, lateness)
        i = place.get(offset)
        if i is None:
            judged.tallies["empty"] += 1
            continue
        value = block.values[i]
        if value is None:
            beat = json.loads(block.headers[i][0][1])
            judged.tallies["heartbeats"] += 1
            move(beat["source"], beat["time_ms"])
            continue
        try:
            record = json.loads(value)
        except ValueError:
            record = None
        appended_ms = int(block.appended_ms[i])
        received_ms = record and min(record.get("received_ms") or appended_ms, appended_ms)
        if record is None or record["time_ms"] > received_ms + SKEW_MS:
            judged.tallies["rejected"] += 1
            judged.rejected.add(offset)
            continue
        source, symbol, number, time_ms = (record[name] for name in ("source", "symbol", "id", "time_ms"))
        start_ms = time_ms - time_ms % SLICE_MS
        behind_ms = judged.frontier_ms.get(source, start_ms) - (start_ms + SLICE_MS)
        key = SliceKey(source, symbol, start_ms - HOUR_MS)
        if behind_ms >= 0:
            judged.tallies["late"] += 1
            judged.late_by_ms[offset] = behind_ms
        elif (key, number) in seen:
            judged.tallies["repeated"] += 1
        else:
            judged.tallies["counted"] += 1
            seen.add((key, number))
            new = Slice(time_ms, number, record["value"], record["value"], 1, number, number)
            judged.slices[key] = _merged(judged.slices[key], new) if key in judged.slices else new
        move(source, time_ms)
    return judged


def _merged(held: Slice, new: Slice) -> Slice:
    last = max(held, new, key=lambda one: (one.last_ms, one.last_id))
    return Slice(
        last.last_ms,
        last.last_id,
        last.last,
        held.total + new.total,
        held.count + 1,
        min(held.least_id, new.least_id),
        max(held.greatest_id, new.greatest_id),
    )

"""The truth, computed from the logs alone: nothing is read twice, and there are no commits and no frames.

What a run did besides reading is given as facts about offsets: where the lateness changed, and where retention cut.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from .words import (
    ALL,
    EVER,
    NEVER,
    RESOLUTIONS,
    SKEW,
    SLICE,
    Empty,
    Heartbeat,
    Interval,
    Key,
    Log,
    Part,
    Poison,
    Position,
    Record,
    Time,
    bundles,
    end_of,
    parts,
    slice_of,
)


@dataclass
class Facts:
    """What happened to one partition."""

    start: int = 0
    lateness: list[tuple[int, int]] = field(default_factory=list)  # (from this offset on, lateness)
    cuts: dict[int, int] = field(default_factory=dict)  # by the offset read to: where the log began after the cut
    sources: int = 99  # the most lanes
    silence: Time = EVER  # how far a lane has to be behind a new source's record to be evicted


@dataclass
class Verdicts:
    tallies: Counter[str] = field(default_factory=Counter)
    late: dict[Position, Time] = field(default_factory=dict)
    dead: set[Position] = field(default_factory=set)
    slices: dict[tuple[str, str, int], tuple[int, float]] = field(default_factory=dict)
    lost: list[Interval] = field(default_factory=list)
    counted: set[tuple[str, str, int, int]] = field(default_factory=set)
    # By symbol and slice: source, value and position of each event that counts, in the log's order.
    events: dict[tuple[str, int], list[tuple[str, float, Position]]] = field(default_factory=dict)


def judge(log: Log, facts: Facts, cut: bool = True) -> Verdicts:
    """Return the outcome for each position; without `cut`, as if retention had deleted nothing."""
    verdicts = Verdicts()
    watermarks: dict[str, Time] = {}
    frontiers: dict[str, Time] = {}
    gone, least = facts.start, NEVER
    for at, record, whole in _parts(log):
        offset, index = at
        lateness = [value for since, value in facts.lateness if since <= offset][-1] if offset >= facts.start else 0
        if cut and offset in facts.cuts and not index:
            gone = max(gone, facts.cuts[offset])
            verdicts.lost.append(lost(watermarks, frontiers, gone > offset))
            for source, watermark in watermarks.items():
                frontiers[source] = max(frontiers[source], end_of(slice_of(watermark)))
        if offset < gone:
            verdicts.tallies["lost"] += offset >= facts.start and not index
            continue
        verdicts.tallies.update({} if index else bundles(whole))
        if isinstance(record, Empty):
            verdicts.tallies["empty"] += 1
            continue
        if isinstance(record, Poison) or (not isinstance(record, Heartbeat) and record.time > record.received + SKEW):
            verdicts.tallies["rejected"] += 1
            verdicts.dead.add(at)
            continue
        if record.source not in watermarks and len(watermarks) >= facts.sources:
            behind, silent = min((watermark, name) for name, watermark in watermarks.items())
            beat = isinstance(record, Heartbeat)
            if behind >= record.time - facts.silence or (isinstance(record, Heartbeat) and record.end):
                verdicts.tallies["heartbeats" if beat else "rejected"] += 1
                verdicts.dead |= set() if beat else {at}
                continue
            least = max(least, frontiers[silent], end_of(slice_of(behind)))
            del watermarks[silent], frontiers[silent]
        source, frontier = record.source, frontiers.get(record.source, least)
        watermarks[source] = max(record.time, watermarks.get(source, NEVER))
        frontiers[source] = max(frontier, watermarks[source] - lateness)
        if isinstance(record, Heartbeat):
            verdicts.tallies["heartbeats"] += 1
            if record.end:
                frontiers[source] = max(frontiers[source], end_of(slice_of(watermarks[source])))
        elif not record.symbol:
            verdicts.tallies["unmatched"] += 1
        elif end_of(slice_of(record.time)) <= frontier:
            verdicts.tallies["late"] += 1
            verdicts.late[at] = frontier - end_of(slice_of(record.time))
        elif (source, record.symbol, record.id, slice_of(record.time)) in verdicts.counted:
            verdicts.tallies["repeated"] += 1
        else:
            verdicts.counted.add((source, record.symbol, record.id, slice_of(record.time)))
            verdicts.tallies["counted"] += 1
            key = source, record.symbol, slice_of(record.time)
            count, total = verdicts.slices.get(key, (0, 0.0))
            verdicts.slices[key] = count + 1, total + record.value
            events = verdicts.events.setdefault((record.symbol, slice_of(record.time)), [])
            events.append((source, record.value, at))
    return verdicts


def _parts(log: Log) -> Iterator[tuple[Position, Part, Record]]:
    """Yield all records, and in place of a bundle its events, with the record that they are from."""
    for offset, record in enumerate(log.records):
        for index, part in enumerate(parts(record)):
            yield (offset, index), part, record


def lost(watermarks: dict[str, Time], frontiers: dict[str, Time], unread: bool) -> Interval:
    """Return the interval of slice ends in which the loss may show."""
    if unread:
        return NEVER, float("inf")
    ends = [max(frontiers[s], end_of(slice_of(watermark))) for s, watermark in watermarks.items()]
    return min(frontiers.values(), default=NEVER), max(ends, default=NEVER)


def windows(partitions: list[Verdicts]) -> dict[Key, tuple[int, float]]:
    """Merge the slices of all partitions in the canonical order."""
    found: dict[Key, tuple[int, float]] = {}
    slices = [(number, p, s, y, *value) for p, v in enumerate(partitions) for (s, y, number), value in v.slices.items()]
    for number, _, source, symbol, count, total in sorted(slices):
        for name in (source, ALL):
            for resolution in RESOLUTIONS:
                key = symbol, name, resolution, number // resolution
                before = found.get(key, (0, 0.0))
                found[key] = before[0] + count, before[1] + total
    return found


def prefix(verdicts: Verdicts, window: Key, n: int) -> tuple[int, float]:
    """Return count and total of a window of one slice, from the first n of its events in one partition."""
    symbol, name, _, number = window
    events = [
        (source, value) for source, value, _ in verdicts.events.get((symbol, number), ()) if name in (source, ALL)
    ]
    totals: dict[str, float] = {}
    for source, value in events[:n]:
        totals[source] = totals.get(source, 0.0) + value
    return min(n, len(events)), sum((totals[source] for source in sorted(totals)), 0.0)


def touched(window: Key, intervals: list[Interval]) -> bool:
    _, _, resolution, number = window
    end = end_of(number, resolution)
    return any(since < end and end - SLICE * resolution < until for since, until in intervals)

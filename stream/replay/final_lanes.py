"""Find the lanes that delay no result, once all partitions have been read to the end."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tickertape.schemas.frame import NEVER_MS, Lane, Tallies


class Sliced(Struct):
    """The outcome of folding a partition's log.

    Attributes
    ----------
    partition
        The partition's number.
    read
        The number of offsets read, including those without a record for us.
    tallies
        The records by what became of them.
    lanes
        The partition's lanes at the end of the log.
    evicted
        Sources that have lost their lane, as lanes with the frontier from which they would resume.
    heard_ms
        By source, the earliest time at which its last record can have been appended; 0 if the log has no such times.
    first_ms, last_ms
        The append times of the log's first and last record; 0 if the log has none.
    """

    partition: int
    read: int
    tallies: Tallies
    lanes: list[Lane]
    evicted: list[Lane]
    heard_ms: dict[str, int]
    first_ms: int
    last_ms: int


class FinalLanes(Struct, frozen=True):
    """Lanes that complete a partition's frames, known once all logs have been read to the end.

    Attributes
    ----------
    partition
        The partition's number.
    before
        Lanes, applied before its frames, for sources that it has no records of.
    after
        Lanes, applied after its frames, for sources that were silent at the end, had ended or had lost their lane.
    """

    partition: int
    before: list[Lane]
    after: list[Lane]


def final_lanes(sliced: Sequence[Sliced], idle_ms: int) -> list[FinalLanes]:
    """Return, for each partition, lanes for the sources that must not delay results there.

    A source delays nothing in a partition that has no records of it, or in which it had long been silent at the end.
    Live, the partition's owner marks both idle by its clock. A replay goes by the times at which records were appended.
    Such lanes get the least frontier of the lanes that were still active; if none was, they count as ended.

    Parameters
    ----------
    sliced
        The outcomes of all partitions.
    idle_ms
        A source is silent if its last record was appended more than so many ms before the log's end.
    """
    last_ms = max(one.last_ms for one in sliced)
    silent = {
        (one.partition, source)
        for one in sliced
        for source, heard_ms in one.heard_ms.items()
        if 0 < heard_ms < last_ms - idle_ms
    }
    silent |= {(one.partition, lane.source) for one in sliced for lane in one.evicted}
    lanes = [(one.partition, lane) for one in sliced for lane in one.lanes]
    awake = [lane.frontier_ms for partition, lane in lanes if (partition, lane.source) not in silent and not lane.ended]
    as_far_ms = min(awake) if awake else max((lane.frontier_ms for _, lane in lanes), default=NEVER_MS)
    sources = sorted({lane.source for _, lane in lanes} | {source for _, source in silent})
    found = []
    for one in sliced:
        here = {lane.source for lane in (*one.lanes, *one.evicted)}
        before = [Lane(source, as_far_ms, as_far_ms) for source in sources if source not in here]
        after = [Lane(s, as_far_ms, as_far_ms, ended=not awake) for p, s in sorted(silent) if p == one.partition]
        if not awake:
            after += [msgspec.structs.replace(lane, ended=True) for lane in before]
        if after:
            after += [lane for lane in one.lanes if lane.ended]
        found.append(FinalLanes(one.partition, before, after))
    return found

"""What is known of partitions once their logs are read to the end, and holds back no result."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tickertape.schemas.frame import Lane, Tallies
from tickertape.stream.engine.core.lanes import UNSET


class Sliced(Struct):
    """What a partition's log came to.

    Attributes
    ----------
    partition
        Which.
    read
        Its offsets, those without a record for us too.
    tallies
        What became of them.
    lanes
        Each, at the end.
    evicted
        The sources that had one and have none, with the frontier from which they would go on.
    heard_ms
        By lane: when its last record was appended, at the earliest; 0 where the log doesn't say.
    first_ms, last_ms
        When the log's first and last record were appended.
    """

    partition: int
    read: int
    tallies: Tallies
    lanes: list[Lane]
    evicted: list[Lane]
    heard_ms: dict[str, int]
    first_ms: int
    last_ms: int


class Word(Struct, frozen=True):
    """What is known of a partition besides its frames, now that its log is read to the end.

    Attributes
    ----------
    partition
        Which.
    before
        Lanes of sources that it has nothing of.
    after
        Lanes that were silent at the end, or had ended or made room.
    """

    partition: int
    before: list[Lane]
    after: list[Lane]


def words(sliced: Sequence[Sliced], idle_ms: int) -> list[Word]:
    """Say what holds back no result: a source that a partition has nothing of, and one that had long been silent there.

    Live, the partition's owner calls both idle by its clock; here the log tells it, by the times at which records were
    appended. They are taken to be as far as the least of those that still spoke; where none did, to have ended.

    Parameters
    ----------
    sliced
        Every partition.
    idle_ms
        For how long a source is to be silent.
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
    as_far_ms = min(awake) if awake else max((lane.frontier_ms for _, lane in lanes), default=UNSET)
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
        found.append(Word(one.partition, before, after))
    return found

"""The fast lane: the owner of an input partition publishes provisional results of one slice itself.

It publishes them where the shard could only say the same later: the results of a symbol whose events all lie in its
partition. Every such result is a function of the log and of its revision. So it doesn't matter who publishes it, an
owner, a zombie or the shard, nor in which order a reader finds them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .words import ALL, NEVER, SKEW, Heartbeat, Interval, Key, Result, Steps, Time, end_of, home

if TYPE_CHECKING:
    from .stage1 import Lane, Partial

SliceKey = tuple[str, str, int]  # source, symbol, slice


@dataclass(frozen=True)
class Promise:
    """What a source's newest heartbeat says of the partitions of its symbols, and from which event time on it holds."""

    keyed: Steps
    spread: frozenset[str]
    since: Time


class FastLane:
    """A part of the owner."""

    partition: int
    read: int
    lanes: dict[str, "Lane"]
    open: dict[SliceKey, "Partial"]
    dirty: set[SliceKey]
    evicted: Time
    horizon: Time
    lost: Interval | None
    promises: dict[str, Promise]
    shown: dict[SliceKey, set[str]]  # the views in which a slice is published as it is

    @property
    def again(self) -> bool:
        raise NotImplementedError

    def trust(self, heartbeat: Heartbeat, lane: "Lane") -> None:
        """Store a source's promise.

        A lane's first heartbeat counts for all times. One that differs from the one before counts for windows that
        begin after all events before it: none is later than the skew allows. A step that is only added is past them.
        """
        before = self.promises.get(heartbeat.source, Promise((), frozenset(), NEVER))
        if before.keyed and before.spread == heartbeat.spread and self.goes_on(before.keyed, heartbeat.keyed):
            since = before.since
        elif lane.since == self.at:
            since = NEVER
        else:
            since = max(lane.watermark, heartbeat.time) + SKEW
        self.promises[heartbeat.source] = Promise(heartbeat.keyed, heartbeat.spread, since)

    def goes_on(self, before: Steps, after: Steps) -> bool:
        return after[: len(before)] == before

    def fast(self) -> dict[Key, Result]:
        """Return provisional results of the slices that have changed: each is the truth of the log read so far."""
        if self.silent():
            return {}
        results: dict[Key, Result] = {}
        for key in sorted(self.dirty - self.shown.keys()):
            source, symbol, number = key
            if self.is_old(number):
                continue
            if self.keeps(source, symbol, number):
                results[symbol, source, 1, number] = self.provisional([key])
                self.shown.setdefault(key, set()).add(source)
            if self.is_whole(number) and all(self.keeps(name, symbol, number) for name in self.counting()):
                keys = sorted(other for other in self.open if other[1:] == (symbol, number))
                results[symbol, ALL, 1, number] = self.provisional(keys)
                self.shown.setdefault(key, set()).add(ALL)
        return results

    def silent(self) -> bool:
        """Return whether nothing may be published: below `upto`, slices lack what isn't read again yet."""
        return self.again

    def is_old(self, number: int) -> bool:
        """Return whether a slice may be past the fold frontier of `all`: then no final result would follow."""
        return end_of(number) <= max(lane.watermark for lane in self.lanes.values()) - self.horizon / 2

    def keeps(self, source: str, symbol: str, number: int) -> bool:
        """Return whether a source promises that all of its events of a symbol and slice are in this partition."""
        promise = self.promises.get(source)
        if promise is None or source not in self.lanes or symbol in promise.spread:
            return False
        begin, end = end_of(number - 1), end_of(number)
        counts = [count for since, count in promise.keyed if since <= begin][-1:]
        within = any(begin < since < end for since, _ in promise.keyed)
        return promise.since <= begin and not within and any(home(symbol, n) == self.partition for n in counts)

    def counting(self) -> set[str]:
        """Return the sources that may go on: others count once they do."""
        since = max(lane.watermark for lane in self.lanes.values()) - self.horizon
        return {source for source, lane in self.lanes.items() if lane.watermark >= since and not lane.ended}

    def is_whole(self, number: int) -> bool:
        """Return whether no lane has closed a slice: its events are in no result of open slices."""
        return end_of(number) > max([self.evicted, *(lane.frontier for lane in self.lanes.values())])

    def provisional(self, keys: list[SliceKey]) -> Result:
        """Merge slices in the canonical order."""
        count, total = 0, 0.0
        for key in keys:
            count += self.open[key].count
            total += self.open[key].total
        incomplete = (
            self.lost is not None and self.lost[0] < end_of(keys[0][2]) and end_of(keys[0][2] - 1) < self.lost[1]
        )
        return Result(count, total, False, incomplete)

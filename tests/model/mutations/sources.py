"""Bugs in evicting silent sources, and in forgetting sources."""

# ruff: noqa: ARG002 -- bugs often ignore arguments

from dataclasses import replace

from .. import stage1, stage2
from ..words import ALL, NEVER, Frame, SliceCommit, Time
from .plant import mutation


@mutation("the least silent lane is evicted", "sources")
class TheLeastSilentLaneIsEvicted(stage1.Owner):
    def furthest_behind(self) -> str:
        return max(self.lanes, key=lambda source: self.lanes[source].watermark)


@mutation("the evicted lane is chosen by the clock", "sources")
class TheEvictedLaneIsChosenByTheClock(stage1.Owner):
    def furthest_behind(self) -> str:
        return min(self.lanes, key=lambda source: (self.lanes[source].heard, source))


@mutation("the evicted lane is chosen as of the block's start", "sources")
class TheEvictedLaneIsChosenAsOfTheBlocksStart(stage1.Owner):
    def block(self, size: int, now: Time) -> None:
        self.met = {source: lane.watermark for source, lane in self.lanes.items()}
        super().block(size, now)

    def furthest_behind(self) -> str:
        return min(self.lanes, key=lambda source: (self.met.get(source, NEVER), source))


@mutation("an evicted lane's slices stay open", "sources")
class AnEvictedLanesSlicesStayOpen(stage1.Owner):
    def evict(self, source: str) -> None:
        self.evicted = max(self.evicted, self.lanes.pop(source).frontier)


@mutation("a source that returns starts without a frontier", "sources")
class ASourceThatReturnsStartsWithoutAFrontier(stage1.Owner):
    def evict(self, source: str) -> None:
        super().evict(source)
        self.evicted = NEVER


@mutation("no evicted frontier in the commit", "sources")
class NoEvictedFrontierInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), evicted=NEVER)


@mutation("rejected records folded by the next owner", "sources")
class RejectedRecordsFoldedByTheNextOwner(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), since={})


@mutation("an evicted lane delays finals", "sources")
class AnEvictedLaneDelaysFinals(stage2.Shard):
    def is_away(self, partition: int, source: str) -> bool:
        return False


@mutation("an evicted lane's last slices count as open", "sources")
class AnEvictedLanesLastSlicesCountAsOpen(stage2.Shard):
    def frontier(self, partition: int, source: str) -> Time:
        return self.frontiers.get((partition, source), NEVER)


@mutation("every lane counts as closed up to the evicted frontier", "sources")
class EveryLaneCountsAsClosedUpToTheEvictedFrontier(stage2.Shard):
    def frontier(self, partition: int, source: str) -> Time:
        heard = self.heard.get(partition)
        return max(self.frontiers.get((partition, source), NEVER), heard.evicted if heard else NEVER)


@mutation("a source with windows is forgotten", "sources")
class ASourceWithWindowsIsForgotten(stage2.Shard):
    def is_over(self, view: stage2.View) -> bool:
        return True


@mutation("a source with a lane elsewhere is forgotten", "sources")
class ASourceWithALaneElsewhereIsForgotten(stage2.Shard):
    def hear(self, frame: Frame) -> None:
        super().hear(frame)
        for name in self.views.keys() - {ALL} - frame.lanes.keys():
            if self.is_over(self.views[name]):
                self.forgotten = max(self.forgotten, self.views[name].floor)
                del self.views[name]

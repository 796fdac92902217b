"""What one could get wrong where there is little room for sources, and those that fall silent make some."""

# ruff: noqa: ARG002 -- what is wrong often looks at less than what is right

from dataclasses import replace

from .. import stage1, stage2
from ..words import ALL, NEVER, Frame, SliceCommit, Time
from .plant import mutation


@mutation("nobody makes room", "sources")
class NobodyMakesRoom(stage1.Owner):
    def most_silent(self) -> str:
        return max(self.lanes, key=lambda source: self.lanes[source].watermark)


@mutation("who makes room is decided by the clock", "sources")
class WhoMakesRoomIsDecidedByTheClock(stage1.Owner):
    def most_silent(self) -> str:
        return min(self.lanes, key=lambda source: (self.lanes[source].heard, source))


@mutation("who makes room is decided by the block", "sources")
class WhoMakesRoomIsDecidedByTheBlock(stage1.Owner):
    def block(self, size: int, now: Time) -> None:
        self.met = {source: lane.watermark for source, lane in self.lanes.items()}
        super().block(size, now)

    def most_silent(self) -> str:
        return min(self.lanes, key=lambda source: (self.met.get(source, NEVER), source))


@mutation("who makes room has its slices left open", "sources")
class WhoMakesRoomHasItsSlicesLeftOpen(stage1.Owner):
    def evict(self, source: str) -> None:
        self.evicted = max(self.evicted, self.lanes.pop(source).frontier)


@mutation("who comes back begins anew", "sources")
class WhoComesBackBeginsAnew(stage1.Owner):
    def evict(self, source: str) -> None:
        super().evict(source)
        self.evicted = NEVER


@mutation("the next owner doesn't know who made room", "sources")
class TheNextOwnerDoesNotKnowWhoMadeRoom(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), evicted=NEVER)


@mutation("what was rejected is folded by the next owner", "sources")
class WhatWasRejectedIsFoldedByTheNextOwner(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), since={})


@mutation("who made room holds finals back", "sources")
class WhoMadeRoomHoldsFinalsBack(stage2.Shard):
    def is_away(self, partition: int, source: str) -> bool:
        return False


@mutation("who made room is known to have closed no more than it had said", "sources")
class WhoMadeRoomHasClosedWhatItHadSaid(stage2.Shard):
    def frontier(self, partition: int, source: str) -> Time:
        return self.frontiers.get((partition, source), NEVER)


@mutation("whoever is behind counts as away", "sources")
class WhoeverIsBehindCountsAsAway(stage2.Shard):
    def frontier(self, partition: int, source: str) -> Time:
        heard = self.heard.get(partition)
        return max(self.frontiers.get((partition, source), NEVER), heard.evicted if heard else NEVER)


@mutation("a source is forgotten that has windows", "sources")
class ASourceIsForgottenThatHasWindows(stage2.Shard):
    def is_over(self, view: stage2.View) -> bool:
        return True


@mutation("a source is forgotten that has a lane elsewhere", "sources")
class ASourceIsForgottenThatHasALaneElsewhere(stage2.Shard):
    def hear(self, frame: Frame) -> None:
        super().hear(frame)
        for name in self.views.keys() - {ALL} - frame.lanes.keys():
            if self.is_over(self.views[name]):
                self.forgotten = max(self.forgotten, self.views[name].floor)
                del self.views[name]

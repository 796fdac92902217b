"""Bugs of feeds and owners when partitions are added."""

# ruff: noqa: ARG002 -- bugs often ignore arguments

from dataclasses import replace
from typing import Any

from .. import stage1
from ..feeds import Feeds
from ..words import SKEW, Event, Heartbeat, SliceCommit
from .plant import mutation


@mutation("heartbeat without the count", "growth")
class HeartbeatWithoutTheCount(Feeds):
    def count(self, source: str) -> int:
        return self.schedule[0][1]


@mutation("new count used before it is in the log", "growth")
class NewCountUsedBeforeItIsInTheLog(Feeds):
    def learn(self, source: str) -> None:
        self.known[source] = len(self.logs)


@mutation("new partition used at once")
class NewPartitionUsedAtOnce(Feeds):
    def step_from(self) -> int:
        return self.now


@mutation("step within a slice")
class StepWithinASlice(Feeds):
    def step_from(self) -> int:
        return self.now + SKEW + 1


@mutation("partition chosen by the feed's own count")
class PartitionChosenByTheFeedsOwnCount(Feeds):
    def partitions(self, event: Event) -> int:
        return self.known[event.source]


@mutation("count from the metadata alone", "growth")
class CountFromTheMetadataAlone(stage1.Owner):
    def hear(self, heartbeat: Heartbeat) -> None:
        pass


@mutation("no count in the commit", "growth")
class NoCountInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), partitions=0)


@mutation("any count accepted")
class AnyCountAccepted(stage1.Owner):
    def hear(self, heartbeat: Heartbeat) -> None:
        self.partitions = max(self.partitions, heartbeat.partitions)


@mutation("no count above the metadata's accepted", "growth")
class NoCountAboveTheMetadatasAccepted(stage1.Owner):
    def __init__(self, *known: Any) -> None:
        super().__init__(*known[:6], most=lambda: known[5])

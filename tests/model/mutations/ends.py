"""Bugs at the end of a source."""

from dataclasses import replace

from .. import stage1, stage2
from ..words import SliceCommit, Time
from .plant import mutation


@mutation("an end closes no slice")
class AnEndClosesNoSlice(stage1.Owner):
    def close_last(self, lane: stage1.Lane) -> None:
        pass


@mutation("no ends in the commit")
class NoEndsInTheCommit(stage1.Owner):
    def checkpoint(self) -> SliceCommit:
        return replace(super().checkpoint(), ended=frozenset())


@mutation("ended lanes delay finals")
class EndedLanesDelayFinals(stage2.View):
    def advance(self, lanes: list[stage2.Lane], horizon: Time) -> None:
        super().advance([lane._replace(ended=False) for lane in lanes], horizon)


@mutation("when all have ended, only closed slices are final")
class WhenAllHaveEndedOnlyClosedSlicesAreFinal(stage2.View):
    def when_all_have_ended(self, newest: Time) -> Time:
        return newest


@mutation("one ended lane ends all lanes")
class OneEndedLaneEndsAllLanes(stage2.View):
    def advance(self, lanes: list[stage2.Lane], horizon: Time) -> None:
        anyone = any(lane.ended for lane in lanes)
        super().advance([lane._replace(ended=anyone) for lane in lanes], horizon)

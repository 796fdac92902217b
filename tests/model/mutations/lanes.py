"""Bugs of the fast lane, and of the shard that leaves results to it."""

# ruff: noqa: ARG002 -- bugs often ignore arguments

from dataclasses import replace

from .. import stage1, stage2
from ..fast_lane import SliceKey
from ..words import NEVER, Event, Heartbeat, Key, Result, Row, Steps, end_of
from .plant import mutation


@mutation("the fast lane publishes finals", "lanes")
class TheFastLanePublishesFinals(stage1.Owner):
    def fast(self) -> dict[Key, Result]:
        return {key: replace(result, final=True) for key, result in super().fast().items()}


@mutation("the fast lane publishes below upto")
class TheFastLanePublishesBelowUpto(stage1.Owner):
    def fast(self) -> dict[Key, Result]:
        self.dirty.update(self.open if self.again else ())
        return super().fast()

    def silent(self) -> bool:
        return False

    def keeps(self, source: str, symbol: str, number: int) -> bool:
        return self.again or super().keeps(source, symbol, number)


@mutation("the fast lane publishes spread symbols")
class TheFastLanePublishesSpreadSymbols(stage1.Owner):
    def trust(self, heartbeat: Heartbeat, lane: stage1.Lane) -> None:
        super().trust(replace(heartbeat, spread=frozenset()), lane)


@mutation("the fast lane trusts sources without a promise", "lanes")
class TheFastLaneTrustsSourcesWithoutAPromise(stage1.Owner):
    def trust(self, heartbeat: Heartbeat, lane: stage1.Lane) -> None:
        super().trust(replace(heartbeat, keyed=heartbeat.keyed or ((0, self.partition + 1),)), lane)


@mutation("the fast lane doesn't ask where a step puts a symbol", "lanes")
class TheFastLaneDoesntAskWhereAStepPutsASymbol(stage1.Owner):
    def keeps(self, source: str, symbol: str, number: int) -> bool:
        promise = self.promises.get(source)
        return (
            promise is not None
            and source in self.lanes
            and bool(promise.keyed)
            and symbol not in promise.spread
            and promise.since <= end_of(number - 1)
        )


@mutation("the fast lane takes the newest step for all times", "lanes")
class TheFastLaneTakesTheNewestStepForAllTimes(stage1.Owner):
    def trust(self, heartbeat: Heartbeat, lane: stage1.Lane) -> None:
        keyed = ((0, heartbeat.keyed[-1][1]),) if heartbeat.keyed else ()
        super().trust(replace(heartbeat, keyed=keyed), lane)

    def goes_on(self, before: Steps, after: Steps) -> bool:
        return True


@mutation("a promise counts at once", "lanes")
class APromiseCountsAtOnce(stage1.Owner):
    def trust(self, heartbeat: Heartbeat, lane: stage1.Lane) -> None:
        super().trust(heartbeat, lane)
        self.promises[heartbeat.source] = replace(self.promises[heartbeat.source], since=NEVER)


@mutation("all sources together without one that promises nothing", "lanes")
class AllSourcesTogetherWithoutOneThatPromisesNothing(stage1.Owner):
    def counting(self) -> set[str]:
        return {source for source in super().counting() if source in self.promises and self.promises[source].keyed}


@mutation("all sources together from the changed slice alone", "lanes")
class AllSourcesTogetherFromTheChangedSliceAlone(stage1.Owner):
    def provisional(self, keys: list[SliceKey]) -> Result:
        return super().provisional(keys[:1])


@mutation("all sources together without closed slices")
class AllSourcesTogetherWithoutClosedSlices(stage1.Owner):
    def is_whole(self, number: int) -> bool:
        return True


@mutation("sources are merged as they come")
class SourcesAreMergedAsTheyCome(stage1.Owner):
    def provisional(self, keys: list[SliceKey]) -> Result:
        return super().provisional(sorted(keys, key=lambda key: self.open[key].first, reverse=True))


@mutation("the fast lane publishes what may be past the horizon", "horizon")
class TheFastLanePublishesWhatMayBePastTheHorizon(stage1.Owner):
    def is_old(self, number: int) -> bool:
        return False


@mutation("the fast lane forgets what retention deleted", "retention")
class TheFastLaneForgetsWhatRetentionDeleted(stage1.Owner):
    def fast(self) -> dict[Key, Result]:
        return {key: replace(result, incomplete=False) for key, result in super().fast().items()}


@mutation("frames say that the fast lane has published what it hasn't")
class FramesSayThatTheFastLaneHasPublishedWhatItHasnt(stage1.Owner):
    def row(self, key: SliceKey) -> Row:
        return replace(super().row(key), shown=frozenset((key[0], "all")))


@mutation("frames say it of a slice that has changed since")
class FramesSayItOfASliceThatHasChangedSince(stage1.Owner):
    def fold(self, event: Event) -> bool:
        before = {key: set(views) for key, views in self.shown.items()}
        folded = super().fold(event)
        self.shown |= before
        return folded


@mutation("the shard leaves every resolution to the fast lane")
class TheShardLeavesFinalsToTheFastLane(stage2.View):
    def is_shown(self, row: Row, window: Key) -> bool:
        return self.name in row.shown

"""Bugs in the reading of bundles."""

from .. import stage1
from ..words import Bundle, Event, Record, Time, end_of, slice_of
from .plant import mutation


@mutation("upto within a bundle")
class UptoWithinABundle(stage1.Owner):
    """A block ends within a bundle, and the next one begins with the record."""

    def block(self, size: int, now: Time) -> None:
        super().block(size, now)
        following = self.log.records[self.read] if self.read < self.log.end and not self.again else None
        if isinstance(following, Bundle) and not following.broken:
            self.tallies[self.take(following.events[0], now)] += 1


@mutation("a bundle is one event in the tallies")
class ABundleIsOneEventInTheTallies(stage1.Owner):
    def take_record(self, record: Record, now: Time) -> None:
        super().take_record(record, now)
        if isinstance(record, Bundle) and not record.broken and not self.again:
            self.tallies["bundled"] -= len(record.events) - 1


@mutation("keys without the index")
class KeysWithoutTheIndex(stage1.Owner):
    def flush(self, everyone: bool = True) -> stage1.Output:
        output = super().flush(everyone)
        output.late = {(offset, 0): by for (offset, _), by in output.late.items()}
        output.dead = {(offset, 0) for offset, _ in output.dead}
        return output


@mutation("a broken bundle is read in part")
class ABrokenBundleIsReadInPart(stage1.Owner):
    def take_record(self, record: Record, now: Time) -> None:
        super().take_record(record, now)
        if isinstance(record, Bundle) and record.broken and not self.again:
            self.take(record.events[0], now)


@mutation("each event of a broken bundle is rejected")
class EachEventOfABrokenBundleIsRejected(stage1.Owner):
    def take_record(self, record: Record, now: Time) -> None:
        super().take_record(record, now)
        if isinstance(record, Bundle) and record.broken and not self.again:
            self.tallies["rejected"] += len(record.events) - 1


@mutation("lateness per bundle")
class LatenessPerBundle(stage1.Owner):
    def take_record(self, record: Record, now: Time) -> None:
        self.met = {source: lane.frontier for source, lane in self.lanes.items()}
        super().take_record(record, now)

    def passed(self, event: Event, lane: stage1.Lane) -> bool:
        return end_of(slice_of(event.time)) <= self.met.get(event.source, lane.frontier)


@mutation("commit past a bundle with an open slice")
class CommitPastABundleWithAnOpenSlice(stage1.Owner):
    """Only slices that a bundle's first event has opened hold the commit back."""

    def fold(self, event: Event) -> bool:
        key = event.source, event.symbol, slice_of(event.time)
        opens = key not in self.open
        counts = super().fold(event)
        if opens and self.index:
            self.open[key].first = self.read + 1
        return counts

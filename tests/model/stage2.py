"""Stage 2: the owner of a shard turns its log of frames into results.

It has one view for each source and one for `all`. The next owner doesn't read the frames before the commit's offset, so
the commit contains what they reported: the sources, the number of partitions, the frontiers of each view, and losses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from .words import (
    ALL,
    NEVER,
    RESOLUTIONS,
    SLICE,
    Frame,
    Interval,
    Key,
    Result,
    Row,
    Sent,
    Time,
    WindowCommit,
    end_of,
)

RowKey = tuple[int, int, str, str]  # slice, partition, source, symbol: the canonical order


@dataclass(slots=True)
class Kept:
    """A slice, or the folded part of a window, and the oldest frame that is needed to make it again."""

    frame: int
    stamp: int = 0
    count: int = 0
    total: float = 0.0


@dataclass
class Output:
    results: dict[Key, Result] = field(default_factory=dict)
    overdue: set[tuple[str, RowKey]] = field(default_factory=set)


class Lane(NamedTuple):
    """One source within one partition, as a shard sees it."""

    frontier: Time
    idle: bool
    ended: bool
    away: bool = False  # there is no lane: it was evicted, or the source has sent nothing and is idle


class View:
    """The windows of one source, or of all."""

    def __init__(self, name: str, final: Time = NEVER, floor: Time = NEVER) -> None:
        self.name = name
        # Windows that end at or before `final` are final; those at or before `told` are also published as final.
        self.final = self.told = final
        self.floor = floor  # slices that end at or before this time are folded for good
        self.rows: dict[RowKey, Kept] = {}
        self.folded: dict[Key, Kept] = {}
        self.dirty: set[Key] = set()

    def put(self, key: RowKey, row: Row, stamp: int, frame: int, again: bool) -> bool:
        """Store the row if it is newer; return False if its slice has been folded without it."""
        if end_of(row.slice) <= self.floor and not again:
            return False
        old = self.rows.get(key)
        if not self.keys(key, self.floor) or (old and not self.newer(stamp, old)):
            return True
        self.rows[key] = Kept(frame, stamp, row.count, row.total)
        if not again:
            self.dirty.update(window for window in self.keys(key, self.floor) if not self.is_shown(row, window))
        return True

    def is_shown(self, row: Row, window: Key) -> bool:
        """Return whether the fast lane has published the window as it is now; it publishes nothing final."""
        return window[2] == 1 and self.name in row.shown and self.end(window) > self.final

    def newer(self, stamp: int, old: Kept) -> bool:
        return stamp > old.stamp

    def keys(self, key: RowKey, above: Time) -> list[Key]:
        """Return the windows that contain the slice and end after a time."""
        windows = [(key[3], self.name, r, key[0] // r) for r in RESOLUTIONS]
        return [window for window in windows if self.end(window) > above]

    @staticmethod
    def end(window: Key) -> Time:
        return end_of(window[3], window[2])

    def advance(self, lanes: list[Lane], horizon: Time) -> None:
        """Recompute the frontiers from the lanes.

        =========  ==================  ==================================
        a lane is  it delays finals    it delays folding
        =========  ==================  ==================================
        active     yes                 yes
        idle       no                  yes, at most by the horizon
        away       no                  yes, at most by the horizon
        ended      no                  no
        =========  ==================  ==================================

        If there are idle lanes but no active ones, the least of their frontiers is final. If there are neither, windows
        are final up to the end of the longest window with the newest slice. Folded are only the slices that the lanes
        have closed, so a source that returns can still add to the others.
        """
        left = [lane for lane in lanes if not lane.ended and not lane.away]
        away = [lane.frontier for lane in lanes if lane.away]
        if lanes and not left:
            newest = max(lane.frontier for lane in lanes)
            self.final = max(self.final, self.when_all_have_ended(newest))
            self.floor = max(self.floor, min([newest, *away]))
            return
        least = min((lane.frontier for lane in left), default=NEVER)
        self.final = max(self.final, min((lane.frontier for lane in left if not lane.idle), default=least))
        self.floor = max(self.floor, min([least, *away]), self.final - horizon)

    def raise_to(self, time: Time) -> None:
        self.final, self.floor = max(self.final, time), max(self.floor, time)

    def when_all_have_ended(self, newest: Time) -> Time:
        longest = max(RESOLUTIONS) * SLICE
        return newest if newest == NEVER else -(-newest // longest) * longest

    def flush(self, lost: frozenset[Interval]) -> Iterator[tuple[Key, Result]]:
        known = set(self.folded).union(*(self.keys(key, NEVER) for key in self.rows))
        due = {window for window in known if self.told < self.end(window) <= self.final}
        for window in sorted(self.dirty | due):
            count, total = self.value(window)
            end, width = self.end(window), window[2] * SLICE
            incomplete = any(since < end and end - width < until for since, until in lost)
            yield window, Result(count, total, end <= self.final, incomplete)
        self.dirty.clear()
        self.told = self.final
        self.fold()

    def value(self, window: Key) -> tuple[int, float]:
        folded = self.folded.get(window)
        count, total = (folded.count, folded.total) if folded else (0, 0.0)
        for key in self.order(k for k in self.rows if window in self.keys(k, NEVER)):
            count += self.rows[key].count
            total += self.rows[key].total
        return count, total

    def order(self, keys: Iterator[RowKey]) -> list[RowKey]:
        return sorted(keys)

    def fold(self) -> None:
        """Fold the slices below the floor into the windows above, in order, and forget them."""
        for key in self.order(k for k in self.rows if end_of(k[0]) <= self.floor):
            row = self.rows.pop(key)
            for window in self.keys(key, self.floor):
                folded = self.folded.setdefault(window, Kept(row.frame))
                folded.frame = min(folded.frame, row.frame)
                folded.count += row.count
                folded.total += row.total
        self.folded = {window: kept for window, kept in self.folded.items() if self.end(window) > self.floor}

    def needs(self) -> Iterator[int]:
        yield from (kept.frame for kept in self.rows.values())
        yield from (kept.frame for kept in self.folded.values())


class Shard:
    view_type = View

    def __init__(self, log: list[Sent], commit: WindowCommit, horizon: Time) -> None:
        self.log, self.horizon = log, horizon
        self.read, self.base = commit.offset, commit.upto
        self.partitions, self.lost = commit.partitions, commit.lost
        self.views = {name: self.view_type(name, *ends) for name, ends in commit.views.items()}
        self.forgotten = commit.forgotten
        self.views.setdefault(ALL, self.view_type(ALL))
        self.heard: dict[int, Frame] = {}  # by partition: the frame of the highest stamp
        self.frontiers: dict[tuple[int, str], Time] = {}
        self.overdue: set[tuple[str, RowKey]] = set()

    @property
    def again(self) -> bool:
        return self.read < self.base

    def block(self, size: int) -> None:
        for record in self.log[self.read : self.read + size]:
            self.take_record(record)
            self.read += 1
            if not self.again:  # else, slices that were folded may not have been read again yet
                for view in self.views.values():
                    view.advance(list(self.lanes(view.name)), self.horizon)
                self.follow()

    def follow(self) -> None:
        """Raise the frontiers of sources without an active lane: beyond the horizon, the other sources decide."""
        every = self.views[ALL]
        for view in self.views.values():
            if all(lane.idle or lane.ended or lane.away for lane in self.lanes(view.name)):
                view.raise_to(min(every.final - self.horizon, every.floor))

    def take_record(self, record: Sent) -> None:
        """Apply a record, the frames of one worker: all of it, or nothing."""
        for frame in record:
            self.take(frame)

    def take(self, frame: Frame) -> None:
        """Apply a frame: first its rows, because its frontiers cover them."""
        for row in frame.rows:
            if not self.passed(frame, row):
                key = row.slice, frame.partition, row.source, row.symbol
                for name in (row.source, ALL):
                    if not self.view(name).put(key, row, frame.upto, self.read, self.again):
                        self.overdue.add((name, key))
        self.hear(frame)

    def passed(self, frame: Frame, row: Row) -> bool:
        """Return whether the lane had passed the row's slice: then all of it is known, and the row is stale."""
        return end_of(row.slice) <= self.frontier(frame.partition, row.source)

    def frontier(self, partition: int, source: str) -> Time:
        """Return a lane's frontier; for an evicted source, where its next lane will begin."""
        known, heard = self.frontiers.get((partition, source), NEVER), self.heard.get(partition)
        return known if heard is None or source in heard.lanes else max(known, heard.evicted)

    def hear(self, frame: Frame) -> None:
        """Apply a frame's lanes. Frontiers, partitions and losses only grow; the highest stamp decides who is idle."""
        self.partitions = max(self.partitions, frame.partitions)
        if frame.lost:
            self.lost |= {frame.lost}
        # A source whose lane opened and was evicted since the previous frame has rows here, but no lane.
        said = dict.fromkeys((row.source for row in frame.rows), frame.evicted)
        said |= {source: frontier for source, (frontier, _) in frame.lanes.items()}
        for source, frontier in said.items():
            self.view(source)
            lane = frame.partition, source
            self.frontiers[lane] = max(frontier, self.frontiers.get(lane, NEVER))
        heard = self.heard.get(frame.partition)
        if heard is None or frame.upto >= heard.upto:
            self.heard[frame.partition] = frame

    def view(self, name: str) -> View:
        if name not in self.views:
            self.views[name] = self.view_type(name, floor=self.forgotten)
        return self.views[name]

    def forget(self) -> None:
        """Forget sources without a lane and without windows that may change. One that returns begins after those."""
        if any(partition not in self.heard for partition in range(self.partitions)):
            return
        for name in self.views.keys() - {ALL}:
            view = self.views[name]
            if not any(name in frame.lanes for frame in self.heard.values()) and self.is_over(view):
                self.forgotten = max(self.forgotten, view.floor)
                del self.views[name]
                self.frontiers = {lane: at for lane, at in self.frontiers.items() if lane[1] != name}

    def is_over(self, view: View) -> bool:
        """Return whether all windows are final, published and folded."""
        return not (view.rows or view.folded or view.dirty)

    def lanes(self, name: str) -> Iterator[Lane]:
        """Yield the lane of each known source in each partition, whether it exists yet or not."""
        for partition in range(self.partitions):
            frame = self.heard.get(partition)
            for source in self.views.keys() - {ALL} if name == ALL else {name}:
                idle = frame is not None and (frame.lanes[source][1] if source in frame.lanes else frame.rest)
                ended = frame is not None and source in frame.ended
                yield Lane(self.frontier(partition, source), idle, ended, self.is_away(partition, source))

    def is_away(self, partition: int, source: str) -> bool:
        """Return whether a source's lane was evicted, or it has no lane and is idle."""
        frame = self.heard.get(partition)
        return frame is not None and source not in frame.lanes and (frame.rest or (partition, source) in self.frontiers)

    def flush(self) -> Output:
        if self.again:
            return Output()
        output, self.overdue = Output(overdue=self.overdue), set()
        for view in self.views.values():
            output.results.update(view.flush(self.lost))
        self.forget()
        return output

    def checkpoint(self) -> WindowCommit:
        """Return the state to commit, once everything that was flushed is published."""
        oldest = min((frame for view in self.views.values() for frame in view.needs()), default=self.read)
        views = {name: (view.told, view.floor) for name, view in self.views.items()}
        upto = max(self.base, self.read)
        return WindowCommit(oldest, upto, self.partitions, views, self.lost, self.forgotten)

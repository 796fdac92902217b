"""Stage 2: the owner of a shard turns its log of frames into results.

It keeps one view a source and one of `all`. What frames before the commit's offset said is known again only where the
commit carries it: the sources there are, the partitions there are, how far each view is, what was lost.
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
    Time,
    WindowCommit,
    end_of,
)

RowKey = tuple[int, int, str, str]  # slice, partition, source, symbol: the canonical order


@dataclass(slots=True)
class Kept:
    """A slice, or what has been folded of a window, and the oldest frame that is needed to have it again."""

    frame: int
    stamp: int = 0
    count: int = 0
    total: float = 0.0


@dataclass
class Output:
    results: dict[Key, Result] = field(default_factory=dict)
    overdue: set[tuple[str, RowKey]] = field(default_factory=set)


class Lane(NamedTuple):
    """What a shard knows of one source within one partition."""

    frontier: Time
    idle: bool
    ended: bool
    away: bool = False  # it has none: it was evicted, or has never spoken and is idle


class View:
    """The windows of one source, or of all."""

    def __init__(self, name: str, final: Time = NEVER, floor: Time = NEVER) -> None:
        self.name = name
        self.final = self.told = final  # windows that end by then are final; `told`: and published as such
        self.floor = floor  # slices that end by then are folded for good
        self.rows: dict[RowKey, Kept] = {}
        self.folded: dict[Key, Kept] = {}
        self.dirty: set[Key] = set()

    def put(self, key: RowKey, row: Row, stamp: int, frame: int, again: bool) -> bool:
        """Keep the row if it is news; return False if its slice has been folded without it."""
        if end_of(row.slice) <= self.floor and not again:
            return False
        old = self.rows.get(key)
        if not self.keys(key, self.floor) or (old and not self.newer(stamp, old)):
            return True
        self.rows[key] = Kept(frame, stamp, row.count, row.total)
        if not again:
            self.dirty.update(self.keys(key, self.floor))
        return True

    def newer(self, stamp: int, old: Kept) -> bool:
        return stamp > old.stamp

    def keys(self, key: RowKey, above: Time) -> list[Key]:
        """Return the windows that hold the slice and end above."""
        windows = [(key[3], self.name, r, key[0] // r) for r in RESOLUTIONS]
        return [window for window in windows if self.end(window) > above]

    @staticmethod
    def end(window: Key) -> Time:
        return end_of(window[3], window[2])

    def advance(self, lanes: list[Lane], horizon: Time) -> None:
        """Idle lanes hold the folding back, but not the finals, and not for longer than the horizon.

        Lanes that have ended hold back neither. Where all have, all windows are final up to the end of the longest that
        has the newest slice; folded is what these lanes have closed, so that who speaks again may add to the others.
        Those that are away hold back no finals, and the folding as idle ones do.
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

    def __init__(self, log: list[Frame], commit: WindowCommit, horizon: Time) -> None:
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
        for frame in self.log[self.read : self.read + size]:
            self.take(frame)
            self.read += 1
            if not self.again:  # before, slices that were folded are not all back yet
                for view in self.views.values():
                    view.advance(list(self.lanes(view.name)), self.horizon)
                self.follow()

    def follow(self) -> None:
        """Of a source that speaks nowhere the others decide, past the horizon."""
        every = self.views[ALL]
        for view in self.views.values():
            if all(lane.idle or lane.ended or lane.away for lane in self.lanes(view.name)):
                view.raise_to(min(every.final - self.horizon, every.floor))

    def take(self, frame: Frame) -> None:
        """Rows first: the frame's frontiers cover them."""
        for row in frame.rows:
            if not self.passed(frame, row):
                key = row.slice, frame.partition, row.source, row.symbol
                for name in (row.source, ALL):
                    if not self.view(name).put(key, row, frame.upto, self.read, self.again):
                        self.overdue.add((name, key))
        self.hear(frame)

    def passed(self, frame: Frame, row: Row) -> bool:
        """The whole slice is known, so this is a repetition."""
        return end_of(row.slice) <= self.frontier(frame.partition, row.source)

    def frontier(self, partition: int, source: str) -> Time:
        """Of who has no lane any more all is closed, up to where the next one begins."""
        known, heard = self.frontiers.get((partition, source), NEVER), self.heard.get(partition)
        return known if heard is None or source in heard.lanes else max(known, heard.evicted)

    def hear(self, frame: Frame) -> None:
        """Frontiers, partitions and losses only grow, whoever tells; on idleness, who has read most is right."""
        self.partitions = max(self.partitions, frame.partitions)
        if frame.lost:
            self.lost |= {frame.lost}
        # Who spoke and made room since the frame before has rows here, and no lane.
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
        """Forget sources that have no lane anywhere and no window that may change; who comes again begins behind."""
        if any(partition not in self.heard for partition in range(self.partitions)):
            return
        for name in self.views.keys() - {ALL}:
            view = self.views[name]
            if not any(name in frame.lanes for frame in self.heard.values()) and self.is_over(view):
                self.forgotten = max(self.forgotten, view.floor)
                del self.views[name]
                self.frontiers = {lane: at for lane, at in self.frontiers.items() if lane[1] != name}

    def is_over(self, view: View) -> bool:
        """Return whether all windows that hold anything are final and published, and nothing is taken of them."""
        return not (view.rows or view.folded or view.dirty)

    def lanes(self, name: str) -> Iterator[Lane]:
        """Yield every lane that may be: each partition there is with each source there is."""
        for partition in range(self.partitions):
            frame = self.heard.get(partition)
            for source in self.views.keys() - {ALL} if name == ALL else {name}:
                idle = frame is not None and (frame.lanes[source][1] if source in frame.lanes else frame.rest)
                ended = frame is not None and source in frame.ended
                yield Lane(self.frontier(partition, source), idle, ended, self.is_away(partition, source))

    def is_away(self, partition: int, source: str) -> bool:
        """Return whether a source had a lane and has none, or has none and is silent."""
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
        """To be called when all that was flushed is published."""
        oldest = min((frame for view in self.views.values() for frame in view.needs()), default=self.read)
        views = {name: (view.told, view.floor) for name, view in self.views.items()}
        upto = max(self.base, self.read)
        return WindowCommit(oldest, upto, self.partitions, views, self.lost, self.forgotten)

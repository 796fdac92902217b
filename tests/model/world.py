"""A random history: feeds write, owners read, publish and commit, and all kinds of faults happen."""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from . import stage1, stage2, truth
from .broker import Commits, Sink
from .feeds import Feeds
from .words import (
    ALL,
    EVER,
    IDLE,
    SHARDS,
    Event,
    Heartbeat,
    Key,
    Position,
    Result,
    Sent,
    SliceCommit,
    Time,
    WindowCommit,
    end_of,
    offsets,
    parts,
)
from .worker import Worker

HORIZON = 60
# In the class `sources`, there is room for few lanes, so silent ones are evicted.
LITTLE = stage1.Room(2, 25)
# The classes of histories. All have late, early, repeated and broken records, in bundles and
# singly, crashes, zombies and added partitions.
CLASSES = ("steady", "growth", "settings", "outages", "horizon", "retention", "sources", "lanes")


@dataclass(frozen=True)
class Shown:
    """A result of the fast lane, and the owner that published it.

    The owner had read the log up to `read`, had to read up to `base` first, and its highest watermark was `newest`.
    """

    partition: int
    key: Key
    result: Result
    read: int
    base: int
    newest: Time


class World:
    # A mutation replaces one of these types.
    commits_type: type[Commits[Any]] = Commits
    feeds_type = Feeds
    owner_type = stage1.Owner
    shard_type = stage2.Shard
    sink_type = Sink
    worker_type = Worker

    def __init__(self, seed: int, kind: str = "") -> None:
        self.rng = random.Random(seed)
        self.sharing = random.Random(seed)  # who shares a worker; separate, as the history must not change
        self.kind = kind or self.rng.choice(CLASSES)
        self.room = LITTLE if self.kind == "sources" else stage1.AMPLE
        self.feeds = self.feeds_type(self.rng, self.kind)
        self.complaints: list[str] = []
        self.horizon = {"horizon": HORIZON, "sources": self.room.silence}.get(self.kind, EVER)
        self.sink = self.sink_type()
        self.late: dict[tuple[int, Position], set[Time]] = {}
        self.dead: set[tuple[int, Position]] = set()
        self.overdue: set[tuple[str, stage2.RowKey]] = set()
        self.facts: dict[int, truth.Facts] = {}
        self.lateness: dict[int, int] = {}
        self.commits: Commits[SliceCommit] = self.commits_type(seed)
        self.owners: dict[int, stage1.Owner] = {}
        self.zombies: list[stage1.Owner] = []
        self.furthest: Counter[int] = Counter()  # by partition: the highest `upto` that anyone has published
        self.clean = True  # whether nobody had published past the commit when retention cut
        self.slices: list[list[Sent]] = [[] for _ in range(SHARDS)]
        self.window_commits: Commits[WindowCommit] = self.commits_type(seed)
        self.window_commits.kept = {n: WindowCommit() for n in range(SHARDS)}
        self.shards = [self.shard(n) for n in range(SHARDS)]
        self.late_shards: list[tuple[int, stage2.Shard]] = []
        self.lane_rng = random.Random(seed)  # separate from the history's, as in `Commits`
        self.shown: list[Shown] = []

    # Stage 1

    def own(self, p: int) -> stage1.Owner:
        """Assign the partition. Its first owner begins by committing the offset where it starts."""
        log = self.feeds.logs[p]
        if p not in self.commits.kept:
            self.lateness[p] = self.rng.choice((0, 5, 15, 30))
            self.facts[p] = truth.Facts(
                log.begin, [(log.begin, self.lateness[p])], sources=self.room.sources, silence=self.room.silence
            )
            self.commits.kept[p] = SliceCommit(log.begin, log.begin, log.begin)
        old, new = self.feeds.schedule[0][1], len(self.feeds.logs)
        metadata = max(p + 1, old if self.kind == "growth" else self.rng.randint(old, new))
        commit = self.commits.read(p)
        most = self.feeds.logs.__len__
        self.owners[p] = self.owner_type(
            p, log, commit, self.lateness[p], self.feeds.now, metadata, most, self.room, self.horizon
        )
        return self.owners[p]

    def timeout(self, owner: stage1.Owner) -> None:
        # In `growth`, a source with few heartbeats isn't idle.
        if self.kind != "growth":
            owner.timeout(self.feeds.now)

    def settle(self, owner: stage1.Owner) -> None:
        # A loss has to be reported to all shards.
        self.publish(owner, everyone=self.kind == "retention" or self.rng.random() < 0.6)
        if self.rng.random() < 0.5:
            self.commit(owner)

    def hurry(self, owner: stage1.Owner) -> None:
        """Let the fast lane publish, or not: a worker with a backlog doesn't."""
        if self.lane_rng.random() < 0.2:
            return
        for key, result in owner.fast().items():
            self.sink.put(key, result)
            newest = max(lane.watermark for lane in owner.lanes.values())
            self.shown.append(Shown(owner.partition, key, result, owner.read, owner.base, newest))
            self.furthest[owner.partition] = max(self.furthest[owner.partition], owner.read)

    def publish(self, owner: stage1.Owner, most: int = SHARDS, *, everyone: bool = True) -> None:
        """Send what the owner's worker flushes; with fewer shards, as a crash in between leaves it."""
        worker = self.worker_type([owner, *self.beside(owner)])
        for one in worker.owners:
            self.hurry(one)
        outputs, records = worker.flush(everyone)
        for shard, record in list(records.items())[:most]:
            self.slices[shard].append(record)
        for one, output in outputs:
            p = one.partition
            for frame in [frame for shard, frame in output.frames.items() if shard in list(records)[:most]]:
                self.furthest[p] = max(self.furthest[p], frame.upto)
                self.add_up(p, frame.upto, frame.tallies)
            if most == SHARDS:
                for at, by in output.late.items():
                    self.late.setdefault((p, at), set()).add(by)
                self.dead |= {(p, at) for at in output.dead}
            else:
                self.end(one)

    def end(self, owner: stage1.Owner) -> None:
        """End an owner: its worker has crashed, and lost what it hadn't sent."""
        self.zombies = [zombie for zombie in self.zombies if zombie is not owner]
        if self.owners.get(owner.partition) is owner:
            del self.owners[owner.partition]

    def beside(self, owner: stage1.Owner) -> list[stage1.Owner]:
        """Return other owners on the same worker, any at any time: partitions move, and a zombie may have lost some."""
        everyone = [*self.owners.values(), *self.zombies]
        return [one for one in everyone if one.partition != owner.partition and self.sharing.random() < 0.3]

    def commit(self, owner: stage1.Owner) -> None:
        if not owner.may_commit():
            return
        commit = owner.checkpoint()
        self.commits.send(owner.partition, commit)
        self.add_up(owner.partition, commit.upto, commit.tallies)

    def add_up(self, p: int, upto: int, tallies: Counter[str]) -> None:
        if offsets(tallies) != upto - self.facts[p].start:
            self.complaints.append(f"tallies of {p} don't add up at {upto}")

    def slicing(self) -> None:
        # In `growth`, added partitions seldom have an owner.
        unseen = self.kind == "growth" and self.rng.random() < 0.9
        p = self.rng.randrange(self.feeds.schedule[0][1] if unseen else len(self.feeds.logs))
        owner, chance = self.owners.get(p), self.rng.random()
        if owner is None:
            if chance < 0.5:
                self.own(p)
        elif chance < 0.06:  # a crash, or a rebalance that the old owner hasn't noticed
            if self.rng.random() < 0.5:
                self.zombies.append(owner)
            elif self.rng.random() < 0.5:
                self.publish(owner, self.rng.randint(0, SHARDS))
            self.owners.pop(p, None)
        elif chance < 0.08:
            self.stop_and_change(p, owner)
        else:
            owner.block(self.rng.randint(0, 12), self.feeds.now)
            self.timeout(owner)
            self.hurry(owner)
            if self.rng.random() < 0.6:
                self.settle(owner)

    def stop_and_change(self, p: int, owner: stage1.Owner) -> None:
        """Stop all readers of the partition; then the lateness changes, or retention cuts the log."""
        if self.kind == "settings":
            self.publish(owner)
            self.commit(owner)
            commit = self.commits.read(p)
            # A source that joins later would be late for `all`, if the lateness was shorter before.
            if self.furthest[p] > commit.upto or len(commit.lanes) < len(self.feeds.sources):
                return
            self.lateness[p] = self.rng.choice((0, 5, 15, 30))
            self.facts[p].lateness.append((commit.upto, self.lateness[p]))
        elif self.kind == "retention" and not self.feeds.closed:
            if self.rng.random() < 0.5:
                self.publish(owner)
                self.commit(owner)
            log, commit = self.feeds.logs[p], self.commits.read(p)
            begin = self.rng.randint(min(commit.offset + 1, log.end), min(log.end, commit.upto + 6))
            if begin > max(log.begin, commit.offset) and not self.facts[p].cuts:
                log.begin = begin
                self.facts[p].cuts[commit.upto] = begin
                self.clean = self.clean and self.furthest[p] <= commit.upto
        else:
            return
        self.zombies = [zombie for zombie in self.zombies if zombie.partition != p]
        self.own(p)

    # Stage 2

    def shard(self, n: int) -> stage2.Shard:
        return self.shard_type(self.slices[n], self.window_commits.read(n), self.horizon)

    def show(self, shard: stage2.Shard) -> None:
        output = shard.flush()
        for key, result in output.results.items():
            self.sink.put(key, result)
        self.overdue |= output.overdue
        if not shard.again:
            self.complaints += self.missing(shard)

    def missing(self, shard: stage2.Shard) -> list[str]:
        """Return the windows of which a reader finds less than the shard has: the fast lane didn't publish it."""
        best = self.sink.best
        return [
            f"{window} is not published as the shard has it"
            for view in shard.views.values()
            for window in {window for key in view.rows for window in view.keys(key, view.floor)}
            if window not in best or self.sink.rank(best[window]) < (False, view.value(window)[0])
        ]

    def windowing(self) -> None:
        n = self.rng.randrange(SHARDS)
        shard, chance = self.shards[n], self.rng.random()
        if chance < 0.08:
            if self.rng.random() < 0.5:
                self.late_shards.append((n, shard))
            elif self.rng.random() < 0.5:
                self.show(shard)
            self.shards[n] = self.shard(n)
            return
        shard.block(self.rng.randint(0, 8))
        if self.rng.random() < 0.6:
            self.show(shard)
            if self.rng.random() < 0.6 and not shard.again:
                self.window_commits.send(n, shard.checkpoint())

    # The whole

    def run(self) -> list[str]:
        rng = self.rng
        for _ in range(rng.randint(5, 45)):
            self.feeds.step()
            self.stir(rng.choice((0, 1, 3, 8)))
        self.feeds.close()
        self.stir(15)
        for _ in range(2):
            self.drain()
            self.stir(3)
        self.drain()
        return self.complaints + self.verify()

    def stir(self, times: int) -> None:
        for _ in range(times):
            self.slicing()
            self.windowing()
            if self.zombies and self.rng.random() < 0.2:
                zombie = self.rng.choice(self.zombies)
                zombie.block(self.rng.randint(0, 12), self.feeds.now)
                self.timeout(zombie)
                self.publish(zombie)
                if zombie.may_commit():
                    self.commits.refuse(zombie.partition, zombie.checkpoint())
            if self.late_shards and self.rng.random() < 0.2:
                number, late = self.rng.choice(self.late_shards)
                late.block(self.rng.randint(0, 8))
                self.show(late)
                if not late.again:
                    self.window_commits.refuse(number, late.checkpoint())

    def drain(self) -> None:
        """Let all owners read to the end, publish and commit."""
        for p, log in enumerate(self.feeds.logs):
            owner = self.owners.get(p) or self.own(p)
            owner.block(log.end, self.feeds.now)
            if self.kind == "sources":
                # Sources for which there was no room at the end are idle in the partition after the time-out.
                owner.timeout(self.feeds.now + IDLE)
            self.publish(owner)
            self.commit(owner)
            self.commits.land(p)
        for n, shard in enumerate(self.shards):
            shard.block(len(self.slices[n]))
            self.show(shard)
            self.window_commits.send(n, shard.checkpoint())
            self.window_commits.land(n)

    def verify(self) -> list[str]:
        pairs = [(self.feeds.logs[p], self.facts[p]) for p in range(len(self.feeds.logs))]
        judged = [truth.judge(*pair) for pair in pairs]
        whole = [truth.judge(*pair, cut=False) for pair in pairs]
        return [
            text
            for text, wrong in (
                ("commits that went back", bool(self.commits.back or self.window_commits.back)),
                ("tallies", self.wrong_tallies(judged)),
                ("late", self.wrong_late(judged, whole)),
                ("dead letters", self.wrong_dead(judged, whole)),
                ("results", self.wrong_results(judged, whole)),
                ("counted twice", self.counted_twice(whole)),
                ("finals that changed", self.wrong_finals(whole)),
                ("results of the fast lane", any(self.wrong_shown(shown, whole) for shown in self.shown)),
            )
            if wrong
        ]

    def wrong_tallies(self, judged: list[truth.Verdicts]) -> bool:
        return any(+self.commits.kept[p].tallies != +verdicts.tallies for p, verdicts in enumerate(judged))

    def wrong_late(self, judged: list[truth.Verdicts], whole: list[truth.Verdicts]) -> bool:
        """After a cut, an owner that had read the lost records may have reported more late records."""
        must = {(p, at): {by} for p, v in enumerate(judged) for at, by in v.late.items()}
        if self.clean:
            return self.late != must
        may = {(p, at) for p, v in enumerate(whole) for at in v.late}
        return not must.keys() <= self.late.keys() <= must.keys() | may

    def wrong_dead(self, judged: list[truth.Verdicts], whole: list[truth.Verdicts]) -> bool:
        must = {(p, at) for p, v in enumerate(judged) for at in v.dead}
        may = {(p, at) for p, v in enumerate(whole) for at in v.dead}
        return self.dead != must if self.clean else not must <= self.dead <= must | may

    def wrong_results(self, judged: list[truth.Verdicts], whole: list[truth.Verdicts]) -> bool:
        """Every result is final, and is the truth unless it was reported overdue or is marked incomplete."""
        expected, as_whole = truth.windows(judged), truth.windows(whole)
        lost = [interval for verdicts in judged for interval in verdicts.lost]
        overdue = {
            (key[3], name, resolution, key[0] // resolution) for name, key in self.overdue for resolution in (1, 3)
        }
        results = self.sink.read()
        for key in expected.keys() | as_whole.keys() | results.keys():
            result = results.get(key)
            found = (result.count, result.total) if result else (0, 0.0)
            true, untouched = expected.get(key, (0, 0.0)), as_whole.get(key, (0, 0.0))
            if result and not result.final:
                # No frame had the events before retention deleted them, or before they were past the horizon.
                if (self.clean or not truth.touched(key, lost)) and (self.horizon == EVER or key not in overdue):
                    return True
                continue
            if self.kind in ("horizon", "retention", "sources") and key in overdue:
                wrong = found[0] > max(true[0], untouched[0])
            elif result and not result.incomplete:
                wrong = found != untouched
            elif truth.touched(key, lost):
                wrong = found != true if self.clean else found[0] > max(true[0], untouched[0])
            else:
                wrong = found != true
            if wrong:
                return True
        return False

    def counted_twice(self, whole: list[truth.Verdicts]) -> bool:
        """Repeats are found only within a partition, so an event must not be counted in two."""
        return sum(len(v.counted) for v in whole) != len(set().union(*(v.counted for v in whole)))

    def wrong_finals(self, whole: list[truth.Verdicts]) -> bool:
        """In classes where no lane is ever idle, every final is the truth, whoever publishes it."""
        if self.kind in ("outages", "horizon", "sources"):
            return False
        expected = truth.windows(whole)
        return any(
            not final.incomplete and (final.count, final.total) != expected.get(key, (0, 0.0))
            for key, finals in self.sink.finals.items()
            for final in finals
        )

    def wrong_shown(self, shown: Shown, whole: list[truth.Verdicts]) -> bool:
        """Return whether a result of the fast lane isn't what its revision stands for.

        It is provisional, from past `upto`, not about to be past the horizon, and has the first events of the window in
        the log: all that there are on any partition. Only a source that the partition has never met may have others
        elsewhere.
        """
        result, (symbol, name, _, number) = shown.result, shown.key
        if result.final or shown.read < shown.base or end_of(number) <= shown.newest - self.horizon / 2:
            return True
        if result.incomplete:
            return False
        if (result.count, result.total) != truth.prefix(whole[shown.partition], shown.key, result.count):
            return True
        records = self.feeds.logs[shown.partition].records[: shown.read]
        met = {part.source for each in records for part in parts(each) if isinstance(part, Event | Heartbeat)}
        return any(
            source in met and name in (source, ALL)
            for p, verdicts in enumerate(whole)
            if p != shown.partition
            for source, _, _ in verdicts.events.get((symbol, number), ())
        )

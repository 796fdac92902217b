"""Snapshots in the life of a window agent: made in turn, kept after their commit, taken up where they fit."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from faust.types import TP

from tests.engine.made_frames import WINDOWING, frame, upsert
from tests.engine.windows.test_agent import SHARD, World, encode
from tickertape.schemas.checkpoint import WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.snapshot import Fitting, Snapshot
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.recovery import recovery as state
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.engine.worker.coordinator import Coordinator

Commits = dict[TP, tuple[int, str]]


class Kept:
    """Snapshots in memory."""

    def __init__(self) -> None:
        self.of: dict[int, list[Snapshot]] = {}
        self.asked: Mapping[int, Fitting] = {}

    def save(self, shard: int, snapshot: Snapshot) -> None:
        self.of.setdefault(shard, []).append(snapshot)

    async def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        self.asked = fitting
        for shard, which in fitting.items():
            for snapshot in self.of.get(shard, [])[::-1]:
                if snapshot in which:
                    yield shard, snapshot
                    break


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(state, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Snapping(World):
    """A shard with its agent, whose snapshots are kept in memory; every commit comes through unless refused."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.kept = Kept()
        self.recovery = Recovery(self.kept, 30.0)
        self.agent = WindowAgent([WINDOWING], Settings(), self, {"bars": 4}, lambda _: None, Workload(), self.recovery)  # type: ignore[arg-type]  # it puts
        monkeypatch.setattr(self.agent._pace, "ask", lambda *_: None)

    def commit(self) -> tuple[int, str]:
        commits = self.agent.checkpoint()
        self.recovery.committed(commits)
        return commits[SHARD]

    def back(self, offset: int, metadata: str, begin: int = 0, end: int | None = None) -> int:
        """Have the next owner take up the shard; return from where it reads."""
        end = len(self.values) if end is None else end
        position = Position(begin=begin, end=end, committed=offset, metadata=metadata, partitions=16)
        asyncio.run(self.recovery.load({SHARD: position}))
        return self.agent.restore({SHARD: position})[SHARD]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Snapping:
    world = Snapping(monkeypatch)
    world.restore()
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 1000})))
    world.read(encode(frame(2, upsert(1000, 2.0), lanes={"s": 1500})))
    clock.now = 31.0
    return world


def test_the_next_owner_reads_from_the_snapshot_on(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "tickertape")
    assert isinstance(world, Snapping)
    world.commit()
    world.read(encode(frame(3, upsert(1000, 2.0, 4.0), lanes={"s": 1500})))
    offset, metadata = world.commit()
    assert (offset, [snapshot.upto for snapshot in world.kept.of[0]]) == (0, [2])
    assert world.back(offset, metadata) == 2
    assert "slices, partition 0: snapshot at offset 2, commit at offset 3" in caplog.text
    # Silent up to the commit, and no commit before it.
    assert (world.bars(), world.agent.checkpoint()) == ([], {})
    world.reread(2)
    assert world.bars() == [("A", "1s", False, 2), ("A", "3s", False, 3)]


def test_a_snapshot_of_the_very_commit_needs_no_frame(world: Snapping) -> None:
    offset, metadata = world.commit()
    assert world.back(offset, metadata) == 2
    world.read(encode(frame(3, lanes={"s": 3000})))
    assert world.bars() == [("A", "1s", True, 1), ("A", "3s", True, 2)]


def test_a_snapshot_whose_commit_was_refused_is_not_kept(world: Snapping) -> None:
    world.agent.checkpoint()
    world.read(encode(frame(3, lanes={"s": 1500})))
    commits = world.agent.checkpoint()
    world.recovery.committed(commits)
    assert world.kept.of == {}


def test_a_snapshot_is_kept_with_its_own_commit_alone(world: Snapping) -> None:
    _, metadata = world.agent.checkpoint()[SHARD]
    # One from before it, which was under way.
    world.recovery.committed({SHARD: (0, to_metadata(WindowCheckpoint(upto=1)))})
    assert world.kept.of == {}
    world.recovery.committed({SHARD: (0, metadata)})
    assert [snapshot.upto for snapshot in world.kept.of[0]] == [2]


def test_a_shard_that_is_read_again_makes_none(world: Snapping) -> None:
    world.back(0, to_metadata(WindowCheckpoint(upto=2, log="x")))
    world.recovery.leave()
    assert world.agent.checkpoint() == {}
    assert world.kept.of == {}


@pytest.mark.parametrize(
    ("committed", "upto", "begin", "end"),
    [
        (0, 1, 0, 2),  # past what the commit speaks of: what it takes for published may not be
        (2, 2, 0, 2),  # nothing is to be read again
        (0, 2, 3, 4),  # retention took frames after it
        (9, 9, 0, 2),  # the commit speaks of another log
        (0, 9, 0, 2),  # and so does this one
    ],
)
def test_a_snapshot_that_does_not_fit_the_commit_is_left(
    world: Snapping, committed: int, upto: int, begin: int, end: int
) -> None:
    _, metadata = world.commit()
    log = windows_from(metadata).log
    wanted = begin if committed > end else max(committed, begin)
    assert world.back(committed, to_metadata(WindowCheckpoint(upto=upto, log=log)), begin, end) == wanted


def test_a_snapshot_from_before_the_commits_offset_is_left() -> None:
    recovery, kept = Recovery(old := Kept(), 30.0), "log"
    old.save(0, Snapshot(kept, 3, b"state"))
    metadata = to_metadata(WindowCheckpoint(upto=9, log=kept))
    position = Position(begin=0, end=9, committed=5, metadata=metadata, partitions=1)
    # Whoever brings it: it would have more read again than the commit.
    assert Snapshot(kept, 3, b"") not in Fitting(kept, 5, 9)
    assert Snapshot(kept, 5, b"") in Fitting(kept, 5, 9)
    recovery._loaded[0] = old.of[0][0]
    assert recovery.snapshot_for(0, position) is None


def test_a_snapshot_is_surely_kept_once_it_has_been_delivered() -> None:
    recovery = Recovery(Kept(), 30.0)
    recovery.begin([0])
    recovery.leave()
    commit = {SHARD: (5, "a commit")}
    recovery.pack(commit, {0: 5}, lambda _: Snapshot("log", 5, b"state"))
    recovery.committed(commit)
    assert recovery.kept(0) is None
    recovery.delivered(recovery.sent())
    assert recovery.kept(0) == 5


@pytest.mark.parametrize("log", ["another", ""])
def test_a_snapshot_of_another_log_is_left(world: Snapping, log: str) -> None:
    # The topic was created anew, and is as long by now.
    world.commit()
    assert world.back(0, to_metadata(WindowCheckpoint(upto=2, log=log))) == 0


def test_a_log_that_begins_anew_has_another_name(world: Snapping) -> None:
    offset, metadata = world.commit()
    world.back(offset, metadata)
    _, again = world.commit()
    assert windows_from(again).log == windows_from(metadata).log != ""
    world.values = world.values[:1]
    world.back(2, metadata)
    world.reread(0)
    _, anew = world.commit()
    assert windows_from(anew).log not in ("", windows_from(metadata).log)


def test_frames_that_retention_took_below_the_snapshot_are_not_missed(
    world: Snapping, caplog: pytest.LogCaptureFixture
) -> None:
    offset, metadata = world.commit()
    assert world.back(offset, metadata, begin=2, end=3) == 2
    assert "retention" not in caplog.text


def test_a_commit_set_by_hand_asks_for_none(world: Snapping) -> None:
    world.commit()
    assert world.back(1, "") == 1
    assert world.kept.asked == {}


def test_bytes_that_are_no_state_are_passed_over(world: Snapping, caplog: pytest.LogCaptureFixture) -> None:
    offset, metadata = world.commit()
    world.kept.of[0] = [Snapshot(windows_from(metadata).log, 2, b"\xc1")]
    assert world.back(offset, metadata) == 0
    assert "partition 0: the snapshot can't be read" in caplog.text
    world.reread(0)
    assert world.bars() == [("A", "1s", False, 1), ("A", "3s", False, 2)]


class Stuck(Kept):
    async def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        async for found in super().load(fitting):
            yield found
        await asyncio.sleep(60)


def test_loading_ends_in_time_with_what_has_come(
    world: Snapping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offset, metadata = world.commit()
    stuck = Stuck()
    stuck.of = world.kept.of
    monkeypatch.setattr(world.recovery, "_snapshots", stuck)
    monkeypatch.setattr(state, "LOAD_SECONDS", 0.05)
    assert world.back(offset, metadata) == 2
    assert "snapshots did not arrive within 0.05 s" in caplog.text


class Broken(Kept):
    async def load(self, fitting: Mapping[int, Fitting]) -> AsyncIterator[tuple[int, Snapshot]]:
        async for found in super().load(fitting):
            raise OSError(f"no broker, but {found}")
            yield found


def test_a_keeper_that_fails_is_told_of(
    world: Snapping, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    offset, metadata = world.commit()
    broken = Broken()
    broken.of = world.kept.of
    monkeypatch.setattr(world.recovery, "_snapshots", broken)
    assert world.back(offset, metadata) == 0
    assert "snapshots can't be read (no broker, but" in caplog.text


class Through:
    """A delivery where all is through at once."""

    async def flush(self) -> None: ...
    async def room(self) -> None: ...


def test_a_quiet_shard_is_kept_by_who_leaves(world: Snapping, clock: Clock) -> None:
    async def run() -> None:
        clock.now = 0.0
        custody = Coordinator(Blocks(frozenset({"slices"}), 1, 1), Workload())
        custody.start([world.agent], Through(), world.recovery)
        custody.committed(await custody.checkpoint())
        assert world.kept.of == {}
        # Nothing has come since, so that there is nothing to commit.
        custody.leave()
        assert await custody.checkpoint() == {}
        await custody.stop()

    asyncio.run(run())
    assert [snapshot.upto for snapshot in world.kept.of[0]] == [2]


def made(recovery: Recovery, shards: int, *, read: int) -> list[int]:
    """Commit all shards at an offset; return those of which a snapshot is made."""
    commits = {TP("slices", shard): (0, str(read)) for shard in range(shards)}
    made: list[int] = []

    def make(shard: int) -> Snapshot:
        made.append(shard)
        return Snapshot("log", read, b"state")

    recovery.pack(commits, dict.fromkeys(range(shards), read), make)
    recovery.committed(commits)
    return made


def test_shards_take_turns(clock: Clock) -> None:
    recovery = Recovery(Kept(), 30.0)
    recovery.begin([0, 1, 2])
    turns = []
    for second in range(70):
        clock.now = float(second)
        turns += [(second, shard) for shard in made(recovery, 3, read=second)]
    assert turns == [(10, 0), (20, 1), (30, 2), (40, 0), (50, 1), (60, 2)]


def test_a_shard_that_has_not_been_read_on_is_passed_over(clock: Clock) -> None:
    recovery = Recovery(Kept(), 30.0)
    recovery.begin([0])
    clock.now = 30.0
    assert made(recovery, 1, read=5) == [0]
    clock.now = 60.0
    assert made(recovery, 1, read=5) == []
    clock.now = 90.0
    assert made(recovery, 1, read=6) == [0]


def test_who_leaves_keeps_all_that_has_changed(clock: Clock) -> None:
    kept = Kept()
    recovery = Recovery(kept, 30.0)
    recovery.begin([0, 1, 2])
    clock.now = 10.0
    made(recovery, 3, read=5)
    recovery.leave()
    assert made(recovery, 3, read=5) == [1, 2]
    assert {shard: [snapshot.upto for snapshot in some] for shard, some in kept.of.items()} == {0: [5], 1: [5], 2: [5]}

"""What follows windows, in the life of a window agent: where commits stay, and what the next owner goes on from."""

import asyncio

import msgspec
import pytest

from tests.engine.blocks import HOUR_MS
from tests.engine.derived.test_fill import FILLED
from tests.engine.derived.test_recursion import DECAY, Decay
from tests.engine.made_frames import frame, upsert
from tests.engine.recovery.test_recovery import Clock, Kept, Through
from tests.engine.windows.test_agent import SHARD, World, encode
from tickertape.schemas.checkpoint import windows_from
from tickertape.schemas.snapshot import Snapshot
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.recovery import recovery as state
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.engine.worker.coordinator import Coordinator
from tickertape.stream.engine.worker.pipeline import Pipeline
from tickertape.stream.errors import ConfigError


class Owned(World):
    """A shard with its agent and its custody; commits come through, and snapshots are kept in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.kept = Kept()
        self.recovery = Recovery(self.kept, 30.0, needed=True)
        sinks = {"bars": 4, "indicators": 4}
        self.agent = WindowAgent(
            [FILLED],
            Settings(),
            self,
            sinks,
            lambda _: None,
            Workload(),
            self.recovery,
            recipes=[DECAY],  # type: ignore[arg-type]  # it puts
        )
        monkeypatch.setattr(self.agent._pace, "ask", lambda *_: None)
        self.custody = Coordinator(Blocks(frozenset({"slices"}), 1, 1), Workload())
        self.committed: tuple[int, str] | None = None

    def commit(self) -> int:
        """Commit; return the offset that the group is at."""

        async def run() -> None:
            self.custody.start([self.agent], Through(), self.recovery)
            commits = await self.custody.checkpoint()
            self.custody.committed(commits)
            self.committed = commits.get(SHARD, self.committed)
            await self.custody.stop()

        asyncio.run(run())
        assert self.committed is not None
        return self.committed[0]

    def again(self, begin: int = 0) -> int:
        """Have the next owner take up the shard, and read it to its end; return from where."""
        assert self.committed is not None
        offset, metadata = self.committed
        position = Position(begin=begin, end=len(self.values), committed=offset, metadata=metadata, partitions=16)
        asyncio.run(self.recovery.load({SHARD: position}))
        self.put_records.clear()
        start = self.agent.restore({SHARD: position})[SHARD]
        self.reread(start)
        return start

    def second(self, n: int) -> None:
        """Hear of a second with one value, which ends with it."""
        self.read(encode(frame(n + 1, upsert(1000 * n, float(n), first_id=n + 1), lanes={"s": 1000 * (n + 1)})))

    def decays(self) -> dict[int, Decay]:
        """Flush; return what came for all sources of the windows of 1 s, by their second."""
        self.put_records.clear()
        self.agent.flush()
        values = [value for topic, _, _, value in self.put_records if topic == "indicators"]
        found = [msgspec.json.decode(value, type=Decay) for value in values]
        mine = [one for one in found if (one.source, one.resolution) == ("all", "1s")]
        return {(one.start_ms - HOUR_MS) // 1000: one for one in mine}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Owned:
    assert clock.now == 0.0
    world = Owned(monkeypatch)
    world.restore()
    return world


def test_a_commit_stays_where_a_snapshot_has_surely_come_through(world: Owned, clock: Clock) -> None:
    for n in range(4):
        world.second(n)
    # Windows of 3 s need the frames from the last second on; what follows needs all, and there is no snapshot.
    assert world.commit() == 0
    clock.now = 31.0
    assert world.commit() == 0
    assert [snapshot.upto for snapshot in world.kept.of[0]] == [4]
    world.second(4)
    # It is put, but whether it has come through is known with the next delivery.
    assert world.commit() == 0
    world.second(5)
    assert world.commit() == 4
    # The windows that are open need the frames from 6 on.
    world.second(6)
    assert world.commit() == 4


def test_the_next_owner_goes_on_from_the_snapshot_of_that_offset(world: Owned, clock: Clock) -> None:
    for n in range(3):
        world.second(n)
    assert world.decays()[2].decay == 2.5
    clock.now = 31.0
    world.commit()
    for n in range(3, 6):
        world.second(n)
        world.commit()
    assert world.decays() == {}
    assert world.again() == 3
    assert world.decays() == {}, "all of it is published"
    world.second(6)
    # 6 + 5 / 2 + 4 / 4 + 3 / 8 + 2 / 16 + 1 / 32
    assert world.decays()[6] == Decay("A", "all", "1s", HOUR_MS + 6000, 6.0, 10.03125, True, 7, False)
    # And once more, before there is another snapshot.
    world.commit()
    assert world.again() == 3
    world.second(7)
    assert world.decays()[7].decay == 12.015625


def test_without_a_snapshot_yet_all_is_made_again_from_where_it_was_first_read(
    world: Owned, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(6):
        world.second(n)
    assert world.commit() == 0
    assert windows_from(world.committed[1]).began == 0  # type: ignore[index,union-attr]  # it is there
    assert world.again() == 0
    assert world.decays() == {}
    world.second(6)
    assert world.decays()[6] == Decay("A", "all", "1s", HOUR_MS + 6000, 6.0, 10.03125, True, 7, False)
    assert "start without their past" not in caplog.text


def snapped(world: Owned, clock: Clock) -> None:
    for n in range(6):
        world.second(n)
    clock.now = 31.0
    world.commit()
    world.second(6)
    world.commit()
    world.second(7)
    assert world.commit() == 6


@pytest.mark.parametrize("lost", ["gone", "soiled"])
def test_where_the_snapshot_is_lost_it_begins_anew_and_says_so(
    world: Owned, clock: Clock, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    snapped(world, clock)
    if lost == "gone":
        world.kept.of.clear()
    else:
        world.kept.of[0] = [Snapshot(one.log, one.upto, b"\xc1") for one in world.kept.of[0]]
    assert world.again() == 6
    assert "slices, partition 0: indicators/decay start without their past" in caplog.text
    assert world.decays() == {}
    for n in range(8, 11):
        world.second(n)
    made = world.decays()
    assert {n: (one.decay, one.incomplete) for n, one in made.items()} == {9: (13.0, True), 10: (16.5, False)}
    # Until there is one, nothing is held back for it.
    assert world.commit() == 9


def test_what_cannot_be_made_again_is_asked_for_more_than_once(
    world: Owned, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    snapped(world, clock)
    monkeypatch.setattr(state, "AGAIN_SECONDS", 0.01)
    load, failures = world.kept.load, iter([OSError("no broker"), OSError("still none")])

    def flaky(fitting: object) -> object:
        if error := next(failures, None):
            raise error
        return load(fitting)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(world.kept, "load", flaky)
    assert world.again() == 6
    assert caplog.text.count("trying again") == 2
    assert "start without their past" not in caplog.text


def test_two_restores_at_once_find_it_both(world: Owned, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    snapped(world, clock)
    assert world.committed is not None
    offset, metadata = world.committed
    position = Position(begin=0, end=len(world.values), committed=offset, metadata=metadata, partitions=16)

    async def run() -> None:
        first = asyncio.create_task(world.recovery.load({SHARD: position}))
        await asyncio.gather(first, world.recovery.load({SHARD: position}))

    asyncio.run(run())
    assert [world.agent.restore({SHARD: position})[SHARD] for _ in range(2)] == [6, 6]
    assert "start without their past" not in caplog.text


def test_without_snapshots_a_worker_does_not_start() -> None:
    with pytest.raises(ConfigError, match="setting: snapshot_seconds is 0, but agents that take final"):
        Pipeline(Settings(broker="127.0.0.1:1", snapshot_seconds=0), "0")

"""The slicing agent with a fast lane: when it publishes, and which frames wait."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from faust.types import TP

from tests.engine.blocks import HOUR_MS, TICKS, Log
from tests.engine.made_frames import WINDOWING, Window
from tests.engine.slices.partition_world import TRADES, World
from tickertape.schemas.frame import Frame, frames_in
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.slices import agent as slicing
from tickertape.stream.engine.slices.agent import SlicingAgent
from tickertape.stream.engine.slices.fast_lane import FastLane
from tickertape.stream.kafka.partition import partition_for


class Lane:
    """A partition with an agent that has a fast lane; its timers run, and the clock of frames is ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shards: int = 1) -> None:
        self.world = World(monkeypatch)
        self.clock = 100.0
        monkeypatch.setattr(slicing, "monotonic", lambda: self.clock)
        lane = FastLane([WINDOWING], Settings(), self, {"bars": 1}, KeyedTopics())  # type: ignore[arg-type]  # it sends
        agent = self.world.agent
        self.world.agent = SlicingAgent(
            TICKS,
            Settings(),
            self.world,  # type: ignore[arg-type]  # it puts
            shards,
            agent._log_end,
            self.world.workload,
            lane,
        )
        monkeypatch.setattr(self.world.agent._pace, "ask", lambda *_: None)
        self.world.restore()
        self.world.log.beat(0, keyed=[(-HOUR_MS, 1)])
        self.bars: list[tuple[str, int]] = []

    def send_many(self, _: str, __: int, records: list[tuple[bytes, bytes]]) -> None:
        found = [msgspec.json.decode(value, type=Window) for _, value in records]
        self.bars += [(window.source, window.revision) for window in found]

    def flush(self) -> tuple[list[tuple[str, int]], list[list[int]]]:
        """Read, and flush as the pace does; return the lane's results and what each frame says of its slices."""
        self.world.read()
        return self.sent(self.world.agent._pace.now)

    def sent(self, flush: Callable[[], object]) -> tuple[list[tuple[str, int]], list[list[int]]]:
        self.bars.clear()
        self.world.put_records.clear()
        flush()
        frames = [msgspec.msgpack.decode(value, type=Frame) for *_, value in self.world.put_records]
        return sorted(self.bars), [list(frame.columns.get("shown", [])) for frame in frames]


def test_frames_wait_for_what_the_fast_lane_has_published(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        lane = Lane(monkeypatch)
        lane.world.log.tick(1, 1)
        assert lane.flush() == ([("all", 1), ("s", 1)], [[3]])
        lane.clock += 0.19
        lane.world.log.tick(2, 2)
        assert lane.flush() == ([("all", 2), ("s", 2)], [])
        lane.clock += 0.02
        lane.world.log.tick(3, 3)
        assert lane.flush() == ([("all", 3), ("s", 3)], [[3]])
        # What isn't published goes at once.
        lane.world.log.beat(4, "t").tick(5, 4)
        assert lane.flush() == ([("s", 4)], [[1]])
        lane.world.agent.stop()

    asyncio.run(run())


def test_frames_that_wait_are_sent_without_further_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "FRAMES_SECONDS", 0.02)

    async def run() -> None:
        lane = Lane(monkeypatch)
        lane.world.log.tick(1, 1)
        lane.flush()
        lane.world.log.tick(2, 2)
        assert lane.flush() == ([("all", 2), ("s", 2)], [])
        lane.clock += 0.02
        await asyncio.sleep(0.1)
        assert len(lane.world.put_records) == 1

    asyncio.run(run())


def test_with_many_shards_frames_are_sent_seldom_and_the_fast_lane_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        lane = Lane(monkeypatch, shards=256)
        lane.world.log.tick(1, 1)
        assert lane.flush() == ([("all", 1), ("s", 1)], [[3]])
        # 256 records in 0.256 s are 1,000 a second.
        lane.clock += 0.25
        lane.world.log.tick(2, 2)
        assert lane.flush() == ([("all", 2), ("s", 2)], [])
        lane.world.log.beat(4, "t").tick(5, 3)
        assert lane.flush() == ([("s", 3)], [])
        lane.clock += 0.01
        assert lane.flush() == ([], [[1]])
        lane.world.agent.stop()

    asyncio.run(run())


def test_with_few_shards_what_has_to_go_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        lane = Lane(monkeypatch, shards=32)
        lane.world.log.beat(0, "t").tick(1, 1)
        assert lane.flush() == ([("s", 1)], [[1]])
        lane.world.log.tick(2, 2)
        assert lane.flush() == ([("s", 2)], [[1]])

    asyncio.run(run())


def test_what_has_to_go_does_not_wait_as_long_as_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "FRAMES_SECONDS", 100.0)

    async def run() -> None:
        lane = Lane(monkeypatch, shards=40)
        lane.world.log.tick(1, 1)
        lane.flush()
        lane.world.log.tick(2, 2)
        assert lane.flush()[1] == []
        lane.world.log.beat(4, "t").tick(5, 3)
        assert lane.flush()[1] == []
        lane.clock += 0.04
        await asyncio.sleep(0.2)
        assert len(lane.world.put_records) == 1
        lane.world.agent.stop()

    asyncio.run(run())


def test_the_fast_lane_of_a_partition_is_open_while_another_ones_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(monkeypatch)
    logs = Log(0), Log(1)
    # By Kafka's murmur2, this symbol lies in partition 1 of 2: checked first.
    assert partition_for("ETH-USDT", 2) == 1
    logs[0].beat(0, "t").tick(1, 1, source="t")
    logs[1].beat(0, keyed=[(-HOUR_MS, 2)]).tick(1, 1, symbol="ETH-USDT")
    lane.world.agent.restore({TP("trades", p): Position(0, log.end, None, "", 2) for p, log in enumerate(logs)})
    for log in logs:
        lane.world.agent.receive(log.block(0, None))
    # Both partitions' frames are in one record.
    lane.world.agent._pace.now()
    ((*_, value),) = lane.world.put_records
    assert lane.bars == [("s", 1)]
    assert [list(frame.columns.get("shown", [])) for frame in frames_in(value)] == [[], [1]]


def test_a_partition_that_was_behind_leaves_the_fast_lane_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(monkeypatch)
    logs = Log(0), Log(1)
    for log in logs:
        log.beat(0, keyed=[(-HOUR_MS, 2)]).tick(1, 1, symbol="ETH-USDT" if log is logs[1] else "A")
    lane.world.agent.restore({TP("trades", p): Position(0, log.end, None, "", 2) for p, log in enumerate(logs)})
    for log, unread in zip(logs, (9000, 0), strict=True):
        lane.world.unread = unread
        lane.world.agent.receive(log.block(0, None))
    lane.world.workload.record_backlog(TP("trades", 0), behind=False)
    # What may not be published goes out at once, and all else with it.
    lane.world.agent._pace.now()
    ((*_, value),) = lane.world.put_records
    assert sorted(lane.bars) == [("all", 1), ("s", 1)]
    assert [list(frame.columns.get("shown", [])) for frame in frames_in(value)] == [[], [3]]
    lane.clock += 0.19
    lane.world.put_records.clear()
    lane.world.unread = 9000
    lane.world.agent.receive(logs[0].tick(2, 2).block(2, None))
    lane.world.workload.record_backlog(TP("trades", 0), behind=False)
    lane.world.agent._pace.now()
    assert len(lane.world.put_records) == 1


def test_no_frame_waits_for_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        lane = Lane(monkeypatch)
        lane.world.log.tick(1, 1)
        lane.flush()
        lane.world.log.tick(2, 2)
        assert lane.flush()[1] == []
        assert lane.sent(lane.world.agent.checkpoint) == ([], [[3]])
        lane.world.agent.stop()

    asyncio.run(run())


def test_the_fast_lane_is_closed_below_the_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(monkeypatch)
    lane.world.log.tick(1, 1)
    lane.flush()
    offset, metadata = lane.world.agent.checkpoint()[TRADES]
    # The next owner hears the lane's first heartbeat, but hasn't read all of the slice.
    assert lane.world.restore(0, metadata) == 0
    lane.world.agent.receive(lane.world.log.block(0, offset))
    published: list[int] = []
    monkeypatch.setattr(FastLane, "publish", lambda _, slicers: [published.append(one.read) or True for one in slicers])
    lane.world.agent.flush()
    assert published == []
    lane.world.read()
    lane.world.agent.flush()
    assert published == [2]


def test_the_regular_frames_have_what_the_fast_lane_published(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(monkeypatch)
    lane.world.log.tick(1, 1)
    lane.world.read()
    assert lane.sent(lane.world.agent.flush) == ([("all", 1), ("s", 1)], [[3]])


def test_the_fast_lane_is_closed_in_a_backlog_and_for_slices_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = Lane(monkeypatch)
    lane.world.log.tick(1, 1)
    lane.world.workload.record_backlog(TP("trades", 3), behind=True)
    assert lane.flush() == ([], [[]])
    lane.world.workload.record_backlog(TP("trades", 3), behind=False)
    lane.world.unread = 8193
    lane.world.log.tick(2, 2)
    lane.world.read()
    # The backlog is over, but these slices are of it.
    lane.world.unread = 0
    lane.world.log.tick(3, 3)
    assert lane.flush() == ([], [[]])
    lane.clock += 0.2
    lane.world.log.tick(4, 4)
    assert lane.flush() == ([("all", 4), ("s", 4)], [[3]])

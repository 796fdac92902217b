"""The slicing agent with a fast lane: when it publishes, and which frames wait."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from faust.types import TP

from tests.engine.blocks import HOUR_MS, TICKS
from tests.engine.made_frames import WINDOWING, Window
from tests.engine.slices.test_agent import TRADES, World
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.slices import agent as slicing
from tickertape.stream.engine.slices.agent import SlicingAgent
from tickertape.stream.engine.slices.fast_lane import FastLane


class Lane:
    """A partition with an agent that has a fast lane; its timers run, and the clock of frames is ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World(monkeypatch)
        self.clock = 100.0
        monkeypatch.setattr(slicing, "monotonic", lambda: self.clock)
        lane = FastLane([WINDOWING], Settings(), self, {"bars": 1}, KeyedTopics())  # type: ignore[arg-type]  # it sends
        agent = self.world.agent
        self.world.agent = SlicingAgent(
            TICKS,
            Settings(),
            self.world,  # type: ignore[arg-type]  # it puts
            1,
            agent._log_end,
            self.world.workload,
            lane,
        )
        monkeypatch.setattr(self.world.agent._pace, "ask", lambda: None)
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
    monkeypatch.setattr(FastLane, "publish", lambda _, slicer: published.append(slicer.read) or True)
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

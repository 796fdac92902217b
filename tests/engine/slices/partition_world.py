"""A partition with its slicing agent, and no Kafka."""

import msgspec
import pytest
from faust.types import TP

from tests.engine.blocks import TICKS, Log
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.slices import agent as slicing
from tickertape.stream.engine.slices import silence
from tickertape.stream.engine.slices.agent import SlicingAgent

TRADES = TP("trades", 0)
IDLE_SECONDS = 30


class World:
    """A partition with its agent, whose producer keeps what it is given; the clock is ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shards: int = 1, fold_records: int = 0) -> None:
        self.now = 1000.0
        monkeypatch.setattr(silence, "monotonic", lambda: self.now)
        # By default each block is folded when it comes.
        monkeypatch.setattr(slicing, "FOLD_RECORDS", fold_records)
        self.log = Log()
        self.put_records: list[tuple[str, int, bytes, bytes]] = []
        settings = Settings(idle_seconds=IDLE_SECONDS)
        self.unheard_seconds = 0.0  # since the broker last said where the log ends
        self.unread = 0  # what the log has beyond what it is made of here
        self.held_back = 0  # and what of it lies behind a transaction that is open
        self.workload = Workload()

        def log_end(_: TP) -> LogEnd:
            end = self.log.end + self.unread
            return LogEnd(end, self.unheard_seconds, end + self.held_back)

        self.agent = SlicingAgent(TICKS, settings, self, shards, log_end, self.workload)  # type: ignore[arg-type]  # it puts
        # No pace of its own: only a checkpoint or a beat flushes.
        monkeypatch.setattr(self.agent._pace, "ask", lambda *_: None)

    def send(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        self.put_records.append((topic, partition, key, value))

    def restore(self, offset: int | None = None, metadata: str = "") -> int:
        position = Position(begin=0, end=self.log.end, committed=offset, metadata=metadata, partitions=1)
        return self.agent.restore({TRADES: position})[TRADES]

    def read(self, until: int | None = None) -> None:
        self.agent.receive(self.log.block(self.agent.read(0), until))

    def beat(self) -> Frame:
        """Have the agent tell everyone, as it does once a second; return the last frame."""
        self.agent.flush()
        return msgspec.msgpack.decode(self.put_records[-1][3], type=Frame)

    def idle(self) -> set[str]:
        return {lane.source for lane in self.beat().lanes if lane.idle}

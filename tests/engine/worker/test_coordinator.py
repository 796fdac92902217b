"""What fails is known to whoever comes next, so that nothing half done is committed."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from faust.types import TP

from tickertape.schemas.checkpoint import Reference, refer
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.worker import coordinator as custody
from tickertape.stream.engine.worker.coordinator import Coordinator
from tickertape.stream.errors import BrokerError

OFFSETS = np.empty(0, np.int64)
BLOCK = Block("trades", 0, 0, 1, OFFSETS, [], OFFSETS)


class Broken:
    topic = "trades"

    def flush(self) -> None:
        raise RuntimeError("broken")

    def claimed_partitions(self, _: Block) -> dict[str, int]:
        return {}

    def read(self, _: int) -> int:
        return 0

    def receive(self, _: Block) -> None:
        raise RuntimeError("broken")

    def stop(self) -> None: ...


def started() -> Coordinator:
    """Return a custody whose one agent fails at whatever it is asked for."""
    coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
    nothing: Any = None
    agent: Any = Broken()
    coordinator.start([agent], nothing)
    return coordinator


def test_a_beat_that_fails_is_heard_of_by_the_next_block_and_the_next_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "FRAME_SECONDS", 0.01)

    async def run() -> None:
        coordinator = started()
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError, match="broken"):
            await coordinator.receive(BLOCK)
        with pytest.raises(RuntimeError, match="broken"):
            await coordinator.checkpoint()
        await coordinator.stop()

    asyncio.run(run())


def test_after_a_block_that_failed_nothing_is_committed() -> None:
    async def run() -> None:
        coordinator = started()
        with pytest.raises(RuntimeError, match="broken"):
            await coordinator.receive(BLOCK)
        # An agent that has no checkpoint is not even asked for one.
        with pytest.raises(RuntimeError, match="broken"):
            await coordinator.checkpoint()
        await coordinator.stop()

    asyncio.run(run())


class Told:
    """An agent to which a block, or a frame, tells of some partitions."""

    topic = "trades"

    def __init__(self, *, before: bool) -> None:
        self.before = before
        self.trusted: list[int] = []
        self.received = 0

    def limit_partitions(self, most: Mapping[str, int]) -> None:
        self.trusted.append(most["trades"])

    def claimed_partitions(self, _: Block) -> dict[str, int]:
        return {"trades": 64} if self.before else {}

    def doubtful_partitions(self) -> dict[str, int]:
        return {} if self.before else {"trades": 64}

    def read(self, _: int) -> int:
        return 0

    def receive(self, _: Block) -> None:
        # What is said before is known before; of a frame it is asked when it has been read.
        assert len(self.trusted) == (1 if self.before else 0)
        self.received += 1

    def stop(self) -> None: ...


class Truth:
    def __init__(self, most: int) -> None:
        self.partitions = most
        self.refused: list[tuple[str, int, int]] = []

    async def most(self, topics: Collection[str]) -> dict[str, int]:
        assert list(topics) == ["trades"]
        return {"trades": self.partitions}

    def refuse(self, topic: str, told: int, most: int) -> None:
        self.refused.append((topic, told, most))


class Delivered:
    async def flush(self) -> None: ...

    async def room(self) -> None: ...


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(("there", "refused"), [(4, [("trades", 64, 4)]), (64, [])])
def test_who_tells_of_more_partitions_is_believed_if_there_are(before: bool, there: int, refused: list[Any]) -> None:
    agent, counts = Told(before=before), Truth(there)

    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        some: Any = agent
        coordinator.start([some], Delivered(), counts=counts)
        assert await coordinator.receive(BLOCK)
        await coordinator.stop()

    asyncio.run(run())
    assert (agent.trusted, agent.received, counts.refused) == ([there], 1, refused)


class Committing:
    topic = "trades"

    def checkpoint(self) -> dict[TP, tuple[int, str]]:
        return {TP("trades", 0): (7, "what was known")}

    def stop(self) -> None: ...


class Slow:
    """A delivery, and a keeper of snapshots, that tell of the order in which they are asked."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.through = asyncio.Event()

    async def flush(self) -> None:
        self.steps.append("flush")
        await self.through.wait()
        self.steps.append("through")

    async def room(self) -> None: ...

    def sent(self) -> str:
        self.steps.append("sent")
        return "what was sent"

    def delivered(self, sent: str) -> None:
        assert sent == "what was sent"
        self.steps.append("delivered")

    def committed(self, _: object) -> None:
        self.steps.append("committed")


def test_what_a_commit_speaks_of_is_delivered_before_it_and_so_are_snapshots() -> None:
    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        slow: Any = Slow()
        agent: Any = Committing()
        coordinator.start([agent], slow, slow)
        commit = asyncio.create_task(coordinator.checkpoint())
        for _ in range(5):
            await asyncio.sleep(0)
        assert (commit.done(), slow.steps) == (False, ["sent", "flush"])
        slow.through.set()
        assert await commit == {TP("trades", 0): (7, "what was known")}
        assert slow.steps == ["sent", "flush", "through", "delivered", "committed"]
        await coordinator.stop()

    asyncio.run(run())


class Behind(Broken):
    """An agent that has read up to offset 3."""

    def __init__(self) -> None:
        self.received: list[int] = []

    def read(self, _: int) -> int:
        return 3

    def receive(self, block: Block) -> None:
        self.received.append(block.start)

    def doubtful_partitions(self) -> dict[str, int]:
        return {}


def test_a_block_that_does_not_follow_is_not_read_and_where_it_goes_on_state_is_restored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(custody, "monotonic", lambda: now[0])

    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        agent: Any = Behind()
        coordinator.start([agent], Delivered())
        hole = Block("trades", 0, 4, 5, OFFSETS, [], OFFSETS)
        assert await coordinator.receive(hole)
        now[0] += custody.PATIENCE_SECONDS
        assert not await coordinator.receive(hole)
        assert agent.received == []
        assert await coordinator.receive(Block("trades", 0, 3, 4, OFFSETS, [], OFFSETS))
        assert agent.received == [3]
        await coordinator.stop()

    asyncio.run(run())


class Kept:
    """Where long checkpoints go: each is referred to by its number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.heard: list[list[TP]] = []

    async def keep(self, tp: TP, metadata: str) -> str:
        self.texts.append(metadata)
        return refer(Reference("commit-state", 0, len(self.texts) - 1, f"{tp.partition}", 0, ""))

    def is_due(self, tp: TP) -> bool:
        return tp.partition == 9

    def committed(self, commits: Mapping[TP, tuple[int, str]]) -> None:
        self.heard.append(list(commits))

    async def find(self, references: Mapping[TP, Reference]) -> dict[TP, str]:
        return {tp: self.texts[reference.offset] for tp, reference in references.items()}


ONE, TWO, OLD = TP("trades", 1), TP("trades", 2), TP("trades", 9)


def test_what_is_too_long_for_a_commit_is_kept_elsewhere_and_found_by_the_next_owner() -> None:
    async def run() -> None:
        kept = Kept()
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        nothing: Any = Told(before=True)
        coordinator.start([nothing], Delivered(), states=kept, counts=Truth(4))
        long = "x" * 5000
        short = await coordinator.shortened({ONE: (3, "short"), TWO: (4, long)})
        assert (short[ONE], short[TWO][0], kept.texts) == ((3, "short"), 4, [long])
        coordinator.committed({ONE: (3, "short"), TWO: (4, long)})
        assert kept.heard == [[ONE, TWO]]
        positions = {tp: Position(0, 9, offset, metadata, 1) for tp, (offset, metadata) in short.items()}
        found = await coordinator.load(positions)
        assert {tp: (position.committed, position.metadata) for tp, position in found.items()} == {
            ONE: (3, "short"),
            TWO: (4, long),
        }
        await coordinator.stop()

    asyncio.run(run())


def test_what_stands_is_committed_again_when_its_record_is_old() -> None:
    class Standing(Committing):
        def checkpoint(self) -> dict[TP, tuple[int, str]]:
            return {ONE: (7, "known"), OLD: (7, "known")}

    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        agent: Any = Standing()
        coordinator.start([agent], Delivered(), states=Kept())
        coordinator.committed({ONE: (7, "known"), OLD: (7, "known")})
        assert await coordinator.checkpoint() == {OLD: (7, "known")}
        await coordinator.stop()

    asyncio.run(run())


def test_without_a_place_for_it_what_is_too_long_is_not_committed_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        nothing: Any = Told(before=True)
        coordinator.start([nothing], Delivered(), counts=Truth(4))
        for _ in range(2):
            assert await coordinator.shortened({ONE: (3, "short"), TWO: (4, "x" * 5000)}) == {ONE: (3, "short")}
        assert [record.getMessage() for record in caplog.records] == [
            "trades, partition 2: can't be committed, because it has too many sources for a commit and the topic "
            "commit-state doesn't exist: run `tickertape topics create` and restart the workers"
        ]
        reference = refer(Reference("commit-state", 0, 1, "key", 0, ""))
        with pytest.raises(BrokerError, match="the topic commit-state, which doesn't exist"):
            await coordinator.load({ONE: Position(0, 9, 3, reference, 1)})
        await coordinator.stop()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("now", "seconds"),
    # A timer that is a millisecond early doesn't make a beat of its own.
    [(10.0, 1.0), (10.3, 0.7), (10.499, 0.501), (10.501, 1.499), (10.999, 1.001), (11.001, 0.999)],
)
def test_all_workers_beat_at_the_full_second(now: float, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    async def run() -> None:
        coordinator = Coordinator(Blocks(frozenset({"trades"}), 10, 10), Workload())
        with monkeypatch.context() as patch:
            patch.setattr(custody, "time", lambda: now)
            patch.setattr(custody.asyncio, "sleep", sleep)
            with pytest.raises(asyncio.CancelledError):
                await coordinator._flush_regularly()

    asyncio.run(run())
    assert slept == [pytest.approx(seconds)]

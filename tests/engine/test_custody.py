"""What fails is known to whoever comes next, so that nothing half done is committed."""

import asyncio
from typing import Any

import numpy as np
import pytest

from stream.engine import custody
from stream.engine.block import Block
from stream.engine.custody import Custody
from stream.engine.unpacking import Blocks
from stream.engine.workload import Workload

OFFSETS = np.empty(0, np.int64)
BLOCK = Block("trades", 0, 0, 1, OFFSETS, [], OFFSETS)


class Broken:
    topic = "trades"

    def flush(self) -> None:
        raise RuntimeError("broken")

    def read(self, _: int) -> int:
        return 0

    def receive(self, _: Block) -> None:
        raise RuntimeError("broken")

    def stop(self) -> None: ...


def started() -> Custody:
    """Return a custody whose one agent fails at whatever it is asked for."""
    keeper = Custody(Blocks(frozenset({"trades"}), 10, 10), Workload())
    nothing: Any = None
    agent: Any = Broken()
    keeper.start([agent], nothing)
    return keeper


def test_a_beat_that_fails_is_heard_of_by_the_next_block_and_the_next_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "FRAME_SECONDS", 0.01)

    async def run() -> None:
        keeper = started()
        await asyncio.sleep(0.1)
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.receive(BLOCK)
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.checkpoint()
        await keeper.stop()

    asyncio.run(run())


def test_after_a_block_that_failed_nothing_is_committed() -> None:
    async def run() -> None:
        keeper = started()
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.receive(BLOCK)
        # An agent that has no checkpoint is not even asked for one.
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.checkpoint()
        await keeper.stop()

    asyncio.run(run())

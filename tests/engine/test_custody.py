"""A flush that fails in the background ends the worker by what comes next."""

import asyncio
from typing import Any

import numpy as np
import pytest

from stream.engine import custody
from stream.engine.block import Block
from stream.engine.custody import Custody
from stream.engine.transport import Blocks


class Broken:
    topic = "trades"

    def flush(self) -> None:
        raise RuntimeError("broken")

    def stop(self) -> None: ...


def test_a_beat_that_fails_is_heard_of_by_the_next_block_and_the_next_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "FRAME_SECONDS", 0.01)

    async def run() -> None:
        keeper = Custody(Blocks(frozenset({"trades"}), 10, 10))
        nothing: Any = None
        agent: Any = Broken()
        keeper.start([agent], nothing)
        await asyncio.sleep(0.1)
        offsets = np.empty(0, np.int64)
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.receive(Block("trades", 0, 0, 1, offsets, [], offsets))
        with pytest.raises(RuntimeError, match="broken"):
            await keeper.checkpoint()
        await keeper.stop()

    asyncio.run(run())

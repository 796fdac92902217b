"""The pipeline of this project: it consumes, decodes, folds, publishes and commits.

Run: python -m bench.pipeline BROKER EVENTS [AGENTS]
"""

import asyncio
import logging
import os
import sys
import time
from typing import Any

from faust import Worker

from tickertape.schemas.frame import NEVER_MS
from tickertape.schemas.topics import SLICES
from tickertape.stream.configuration.settings import load
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.engine.worker import memory
from tickertape.stream.engine.worker.pipeline import Pipeline
from tickertape.stream.kafka.clients.reader import Reader

# The least share of the records read that must be counted; others may be heartbeats, for example.
SURELY = 0.99
# How often it looks whether all is done. Looking counts as CPU time of the contestant.
LOOK_SECONDS = 0.005


class Timed(Pipeline):
    """A worker that ends once all events are folded, published and committed, and prints the rates."""

    events = 0
    began = cpu = 0.0

    async def on_started(self) -> None:
        await super().on_started()
        # As the command does; Faust's own worker makes a record of each line that it doesn't show.
        logging.getLogger().setLevel(logging.WARNING)
        receive = self.coordinator.receive

        async def first(block: Block) -> bool:
            if not self.began:
                self.began, self.cpu = time.perf_counter(), time.process_time()
            return await receive(block)

        self.coordinator.receive = first  # type: ignore[method-assign]  # to time the first block
        self.add_future(self._until_done())

    async def _until_done(self) -> None:
        agents: dict[str, Any] = dict(self.coordinator._agents)
        windows = agents.pop(SLICES.name, None)
        # The topics have just been created. Once a block has arrived, all clients know them.
        while not self.began:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(LOOK_SECONDS)
        async with Reader(self.settings, [SLICES.name], from_beginning=True) as reader:
            wall, cpu = await self._until_read(agents, windows, reader)
        slicers = [slicer for agent in agents.values() for slicer in agent.slicers.values()]
        counted = sum(slicer.tallies.counted for slicer in slicers)
        if counted < SURELY * self.events:
            raise SystemExit(f"only {counted} of {self.events} records were counted")
        print(f"@{self.events / wall:.0f} {self.events / cpu:.0f}", flush=True)
        os._exit(0)

    async def _until_read(self, agents: dict[str, Any], windows: Any, reader: Reader) -> tuple[float, float]:
        """Wait until everything is read and committed; return the seconds of wall time and of CPU time."""

        def read() -> int:
            return sum(slicer.tallies.events for agent in agents.values() for slicer in agent.slicers.values())

        while read() < self.events:  # noqa: ASYNC110 - as above
            await asyncio.sleep(LOOK_SECONDS)
        # Not `commit`, which does nothing while another commit is under way.
        await self.consumer.force_commit()
        if windows is not None:
            ends = await reader.ends()
            while any((windows.read(part.partition) or 0) < end for part, end in ends.items()):  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_SECONDS)
            while not all(_is_final(each, agents) for each in windows._windows):  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_SECONDS)
            await self.consumer.force_commit()
        return time.perf_counter() - self.began, time.process_time() - self.cpu


def _is_final(windows: Windows, agents: dict[str, Any]) -> bool:
    """Return whether all windows are final that can be: up to the frontier of the slowest lane."""
    slicers = agents[windows.topic].slicers.values() if windows.topic in agents else ()
    frontiers_ms = [frontier_ms for slicer in slicers for frontier_ms in slicer.lanes.frontier_ms.values()]
    return windows.shards.final_ms >= min(frontiers_ms, default=NEVER_MS)


if __name__ == "__main__":
    memory.tune()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    agents = sys.argv[3].split(",") if len(sys.argv) > 3 else None
    app = Timed(load(broker=sys.argv[1], group=f"bench-{time.time():.0f}", agents=agents), "0")
    app.events = int(sys.argv[2])
    Worker(app, loglevel="warn", loop=loop, redirect_stdouts=False, quiet=True).execute_from_commandline()

"""The pipeline of this project: consume, decode, fold, publish, commit.

Run: python -m bench.pipeline BROKER EVENTS [AGENTS]
"""

import asyncio
import os
import sys
import time

from faust import Worker

from schemas.topics import TRADES
from stream.app import Pipeline, tune_interpreter
from stream.engine.block import Block
from stream.settings import load


class Timed(Pipeline):
    """A worker that stops once all events are folded, published and committed, and says how long that took."""

    events = 0
    began = 0.0
    cpu = 0.0

    async def on_started(self) -> None:
        await super().on_started()
        receive = self.custodian.receive

        async def first(block: Block) -> bool:
            if not self.began and block.topic == TRADES.name:
                self.began, self.cpu = time.perf_counter(), time.process_time()
            return await receive(block)

        self.custodian.receive = first  # type: ignore[method-assign]  # the bench looks on
        self.add_future(self._until_done())

    async def _until_done(self) -> None:
        while True:
            await asyncio.sleep(0.002)
            slicers = self.custodian._agents[TRADES.name].slicers  # type: ignore[attr-defined]  # it is no Protocol's
            if sum(slicer.tallies.counted for slicer in slicers.values()) >= self.events:
                break
        # Not `commit`, which does nothing while another is under way.
        await self.consumer.force_commit()
        wall, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        print(f"@{self.events / wall:.0f} {self.events / cpu:.0f}", flush=True)
        os._exit(0)


if __name__ == "__main__":
    tune_interpreter()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    agents = sys.argv[3].split(",") if len(sys.argv) > 3 else None
    app = Timed(load(broker=sys.argv[1], group=f"bench-{time.time():.0f}", agents=agents), "0")
    app.events = int(sys.argv[2])
    Worker(app, loglevel="warn", loop=loop, redirect_stdouts=False, quiet=True).execute_from_commandline()

"""A Faust worker with one topic that comes as blocks and one that does not: it prints one JSON object per record.

Usage: two_topics.py BROKER FOLDER GROUP NAME BLOCKS [PLAIN]

With HOLD in the environment partition 0 waits until so many records of the others are read. With AMID a restore begins
in the midst of the first commit that says something: `checkpoint`, before it is sent; `sent`, before it arrives;
`lost`, and it is never answered.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import faust
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.protocol.commit import OffsetCommitRequest
from faust.types import TP

from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch import transport
from tickertape.stream.engine.fetch.unpacking import Blocks


def say(**heard: Any) -> None:
    print(json.dumps(heard), flush=True)


class Keeper:
    """A coordinator that reads from its commit, and commits half of what it has been given."""

    def __init__(self, topic: str) -> None:
        self.blocks = Blocks(frozenset({topic}), 40, 1 << 20)
        self.workload = Workload()
        self.upto: dict[TP, int] = {}
        self.begun: dict[TP, int] = {}
        self.amid: Callable[[], Awaitable[None]] | None = None

    async def load(self, positions: Mapping[TP, Position]) -> Mapping[TP, Position]:
        return positions

    async def shortened(self, commits: Mapping[TP, tuple[int, str]]) -> Mapping[TP, tuple[int, str]]:
        return commits

    def restore(self, positions: Mapping[TP, Position]) -> Mapping[TP, int]:
        say(
            restored={
                tp.partition: [p.begin, p.committed, p.metadata, p.partitions] for tp, p in sorted(positions.items())
            }
        )
        self.upto = {tp: p.begin if p.committed is None else p.committed for tp, p in positions.items()}
        self.begun = self.upto.copy()
        return self.begun

    async def checkpoint(self) -> Mapping[TP, tuple[int, str]]:
        offsets = {tp: (max(upto // 2, self.begun[tp]), f"half of {upto}") for tp, upto in self.upto.items()}
        if self.amid is not None and any(offset for offset, _ in offsets.values()):
            amid, self.amid = self.amid, None
            await amid()
        return offsets

    def committed(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        say(committed={tp.partition: offset for tp, (offset, _) in sorted(offsets.items())})

    def refused(self, error: Exception) -> None:
        say(refused=str(error))


def restore_amid_a_commit(app: faust.App, how: str) -> None:
    """Have a restore begin once the first commit that says something is sent, and before it arrives, or never does."""
    loop, send = asyncio.get_running_loop(), GroupCoordinator._send_req
    if how == "lost":
        transport.RESTORE_SECONDS = 2.0

    async def held(self: GroupCoordinator, request: Any) -> Any:
        nonlocal how
        if how and isinstance(request, OffsetCommitRequest) and "half of 100" in str(vars(request)):
            how, now = "", how
            say(sent=True)
            asyncio.run_coroutine_threadsafe(app.consumer.perform_seek(), loop)
            # By then it would have read what is committed, for fetches that are before it take a second each.
            await asyncio.sleep(4.0 if now == "sent" else 3600.0)
        return await send(self, request)

    GroupCoordinator._send_req = held


async def main(broker: str, folder: str, group: str, name: str, blocks: str, *plain: str) -> None:
    app = faust.App(
        group,
        broker=f"blocks://{broker}",
        broker_commit_interval=0.2,
        broker_heartbeat_interval=0.5,
        broker_session_timeout=3.0,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=name,
        datadir=f"{folder}/{name}",
        store="memory://",
        # With standbys Faust deals out partitions by a way of its own.
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        value_serializer="raw",
        web_enabled=False,
    )
    keeper = app.coordinator = Keeper(blocks)
    hold = int(os.environ.get("HOLD", "0"))
    first = TP(blocks, 0)
    amid = os.environ.get("AMID", "")
    if amid == "checkpoint":
        keeper.amid = lambda: app.consumer.perform_seek()
    elif amid:
        restore_amid_a_commit(app, amid)
    if hold:
        keeper.workload.held = frozenset({first})

    @app.agent(app.topic(blocks, value_serializer="raw", acks=False))
    async def read_blocks(stream: Any) -> None:
        async for block in stream:
            keeper.upto[TP(block.topic, block.partition)] = block.end
            say(block=[block.partition, block.start, block.end, len(block)])
            if sum(upto for tp, upto in keeper.upto.items() if tp != first) >= hold:
                keeper.workload.held = frozenset()

    if plain:

        @app.agent(app.topic(*plain, value_serializer="raw"))
        async def read_plain(stream: Any) -> None:
            async for value in stream:
                say(plain=value.decode())

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await app.start()
    await told.wait()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

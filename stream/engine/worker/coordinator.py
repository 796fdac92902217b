"""The coordinator of a worker: it restores and commits the slicing agents and the window agent together."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from time import monotonic, time
from typing import Protocol

from faust.types import TP
from msgspec.structs import replace

from tickertape.schemas.checkpoint import Reference, is_long, reference_in
from tickertape.schemas.topics import COMMIT_STATE
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.positions import Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.recovery.recovery import Recovery
from tickertape.stream.engine.worker.partition_metrics import PartitionMetrics
from tickertape.stream.errors import BrokerError
from tickertape.stream.telemetry.metrics import REFUSED_COMMITS

log = logging.getLogger(__name__)

# How often every shard receives the state of every lane, with upserts or without. All workers send it at the same time
# by the clock: so a shard gets it from all of them with a fetch or two.
FRAME_SECONDS = 1.0
# How long a partition's blocks may begin past what has been read, before its state is restored.
PATIENCE_SECONDS = 2.0


class Agent(Protocol):
    """An agent, which reads one topic."""

    topic: str

    def limit_partitions(self, most: Mapping[str, int]) -> None: ...
    def claimed_partitions(self, block: Block) -> Mapping[str, int]: ...
    def doubtful_partitions(self) -> Mapping[str, int]: ...
    def restore(self, positions: Mapping[TP, Position]) -> dict[TP, int]: ...
    def read(self, partition: int) -> int | None: ...
    def receive(self, block: Block) -> None: ...
    def flush(self) -> None: ...
    def checkpoint(self) -> dict[TP, tuple[int, str]]: ...
    def stop(self) -> None: ...


class Delivery(Protocol):
    """Delivers output; everything must be delivered before a commit."""

    async def flush(self) -> None: ...
    async def room(self) -> None: ...


class PartitionCounts(Protocol):
    """Looks up how many partitions topics have, or will have by their schedule."""

    async def most(self, topics: Collection[str]) -> Mapping[str, int]: ...
    def refuse(self, topic: str, told: int, most: int) -> None: ...


class States(Protocol):
    """Stores checkpoints that are too long for a commit."""

    async def keep(self, tp: TP, metadata: str) -> str: ...
    def is_due(self, tp: TP) -> bool: ...
    def committed(self, commits: Mapping[TP, tuple[int, str]]) -> None: ...
    async def find(self, references: Mapping[TP, Reference]) -> dict[TP, str]: ...


class Coordinator:
    """Passes each block to its topic's agent, and commits the checkpoints of all agents together.

    Parameters
    ----------
    blocks
        The topics that are read as blocks, and the limits of a block.
    workload
        The worker's workload, which paces fetches and flushes.
    """

    def __init__(self, blocks: Blocks, workload: Workload) -> None:
        self.blocks = blocks
        self.workload = workload
        self._agents: dict[str, Agent] = {}
        self._delivery: Delivery | None = None
        self._recovery: Recovery | None = None
        self._metrics: PartitionMetrics | None = None
        self._counts: PartitionCounts | None = None
        self._states: States | None = None
        #: Partitions whose checkpoint is too long for a commit, and has no topic to be stored on.
        self._still: set[TP] = set()
        self._committed: dict[TP, tuple[int, str]] = {}
        self._astray: dict[TP, float] = {}
        self._beat: asyncio.Task[None] | None = None
        self._failure: Exception | None = None

    def start(
        self,
        agents: list[Agent],
        delivery: Delivery,
        recovery: Recovery | None = None,
        metrics: PartitionMetrics | None = None,
        counts: PartitionCounts | None = None,
        states: States | None = None,
    ) -> None:
        """Set the agents and their services, and start to flush the agents regularly."""
        self._counts = counts
        self._states = states
        self._recovery = recovery
        self._metrics = metrics
        self._agents = {agent.topic: agent for agent in agents}
        self._delivery = delivery
        self._beat = asyncio.create_task(self._flush_regularly())

    async def stop(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        for agent in self._agents.values():
            agent.stop()

    async def _flush_regularly(self) -> None:
        while True:
            # A timer may be early or late: half an interval has to pass.
            await asyncio.sleep(1.5 * FRAME_SECONDS - (time() + FRAME_SECONDS / 2) % FRAME_SECONDS)
            try:
                for agent in self._agents.values():
                    agent.flush()
                if self._metrics is not None:
                    self._metrics.look(self._agents.values())
            except Exception as error:
                # Nobody awaits this task. The next block or commit raises the exception, which ends the worker.
                log.exception("a flush failed")
                self._failure = error
                return

    async def receive(self, block: Block) -> bool:
        """Pass on a block that continues what has been read; return False if the state must be restored.

        A block or two from before a restore may be out of place, which is harmless. If more follow, records are
        missing.
        """
        if self._failure is not None:
            raise self._failure
        agent, tp = self._agents[block.topic], TP(block.topic, block.partition)
        if claims := agent.claimed_partitions(block):
            await self._ask(claims)
        read = agent.read(block.partition)
        if read is None:
            return True
        if block.start > read:
            log.info(
                "%s, partition %d: a block begins at offset %d, but the partition is read up to %d",
                block.topic,
                block.partition,
                block.start,
                read,
            )
            return monotonic() - self._astray.setdefault(tp, monotonic()) < PATIENCE_SECONDS
        self._astray.pop(tp, None)
        try:
            agent.receive(block)
        except Exception as error:
            # The agent's state may be half changed, so it must never be committed.
            self._failure = error
            raise
        if doubts := agent.doubtful_partitions():
            await self._ask(doubts)
        assert self._delivery is not None
        await self._delivery.room()
        return True

    async def _ask(self, told: Mapping[str, int]) -> None:
        """Look up how many partitions there are, because a record or frame claims more than are known.

        The claim doesn't count before that. So a correct claim is not ignored, and a wrong one delays results no longer
        than the look-up takes.
        """
        if self._counts is None:
            return
        most = await self._counts.most(self._agents)
        for agent in self._agents.values():
            agent.limit_partitions(most)
        for topic, count in told.items():
            if count > most[topic]:
                self._counts.refuse(topic, count, most[topic])

    async def load(self, positions: Mapping[TP, Position]) -> Mapping[TP, Position]:
        await self._ask({})
        positions = await self._found(positions)
        if self._recovery is not None:
            await self._recovery.load(positions)
        return positions

    async def _found(self, positions: Mapping[TP, Position]) -> Mapping[TP, Position]:
        """Return positions with the checkpoints that their commits refer to."""
        references = {
            tp: reference
            for tp, position in positions.items()
            if (reference := reference_in(position.metadata)) is not None
        }
        if self._states is None:
            if references:
                raise BrokerError(f"commits refer to the topic {COMMIT_STATE.name}, which doesn't exist: restore it")
            return positions
        found = await self._states.find(references)
        return {
            tp: replace(position, metadata=found[tp]) if tp in found else position for tp, position in positions.items()
        }

    def leave(self) -> None:
        """Prepare for the worker's end: the next commit is the last."""
        if self._recovery is not None:
            self._recovery.leave()

    def restore(self, positions: Mapping[TP, Position]) -> dict[TP, int]:
        self._committed = {}
        self._astray = {}
        offsets: dict[TP, int] = {}
        for topic, agent in self._agents.items():
            offsets |= agent.restore({tp: position for tp, position in positions.items() if tp.topic == topic})
        owned = ", ".join(f"{tp.topic}/{tp.partition}@{offset}" for tp, offset in sorted(offsets.items()))
        log.info("owns %s", owned or "nothing")
        if self._metrics is not None:
            self._metrics.assign(positions, self._agents)
        return offsets

    async def checkpoint(self) -> dict[TP, tuple[int, str]]:
        if self._failure is not None:
            raise self._failure
        if self._metrics is not None:
            self._metrics.begin_commit()
        commits: dict[TP, tuple[int, str]] = {}
        for agent in self._agents.values():
            commits |= agent.checkpoint()
        sent = self._recovery.sent() if self._recovery is not None else None
        # What the commits count as published must be delivered before them.
        if self._delivery is not None:
            await self._delivery.flush()
        if self._recovery is not None and sent is not None:
            self._recovery.delivered(sent)
        same = {
            tp: commit
            for tp, commit in commits.items()
            if self._committed.get(tp) == commit and not (self._states is not None and self._states.is_due(tp))
        }
        if self._recovery is not None:
            self._recovery.committed(same)
        if self._metrics is not None:
            self._metrics.stands(same)
        return {tp: commit for tp, commit in commits.items() if tp not in same}

    async def shortened(self, commits: Mapping[TP, tuple[int, str]]) -> dict[TP, tuple[int, str]]:
        short: dict[TP, tuple[int, str]] = {}
        for tp, (offset, metadata) in commits.items():
            if not is_long(metadata):
                short[tp] = offset, metadata
            elif self._states is not None:
                short[tp] = offset, await self._states.keep(tp, metadata)
            elif tp not in self._still:
                self._still.add(tp)
                log.warning(
                    "%s, partition %d: can't be committed, because it has too many sources for a commit and the topic "
                    "%s doesn't exist: run `tickertape topics create` and restart the workers",
                    tp.topic,
                    tp.partition,
                    COMMIT_STATE.name,
                )
        return short

    def committed(self, offsets: Mapping[TP, tuple[int, str]]) -> None:
        self._committed |= offsets
        if self._states is not None:
            self._states.committed(offsets)
        if self._metrics is not None:
            self._metrics.committed(offsets)
        if self._recovery is not None:
            self._recovery.committed(offsets)

    def refused(self, error: Exception) -> None:
        REFUSED_COMMITS.inc()
        log.warning("a commit was refused: its partitions have another owner now: %s", error)

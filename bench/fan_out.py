"""Measure what many partitions, shards and workers cost, without a single event.

One real slicing worker and one real shard run in this process, as parts of a cluster of 100 workers. Heartbeats and the
other workers' frames are made beforehand, by the code that a worker runs.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np
from faust.types import TP
from msgspec.structs import replace
from rich.console import Console

from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.heartbeat import Heartbeat, Keyed, to_headers
from tickertape.schemas.topics import SLICES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.keyed_topics import KeyedTopics
from tickertape.stream.engine.core.positions import LogEnd, Position
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.define.discovery import Agents, configured
from tickertape.stream.engine.derived.derived import outputs_of
from tickertape.stream.engine.fetch.unpacking import Blocks
from tickertape.stream.engine.slices.agent import SlicingAgent
from tickertape.stream.engine.slices.fast_lane import FastLane
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.engine.worker import memory
from tickertape.stream.engine.worker.coordinator import Agent, Coordinator
from tickertape.stream.engine.worker.partition_metrics import PartitionMetrics
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer

PARTITIONS, SHARDS, WORKERS = 1000, 256, 100
SOURCES = ("binance", "coinbase", "kraken")
START_MS = 1_700_000_000_000
# The first seconds of a round aren't measured: partitions are new.
ROUNDS, WARM_SECONDS, SECONDS = 3, 3, 10
# A worker that isn't busy fetches about so often.
FETCH_SECONDS = 0.02
# Workers send lanes at each full second. So long it takes until a shard has those of all workers.
SPREAD_SECONDS = 0.1
# The most CPU that a worker and a shard may take together, as a share of a core.
CEILING = 0.05


class Captured:
    """Stores what an agent sends."""

    def __init__(self) -> None:
        self.values: list[bytes | None] = []

    def send(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:  # noqa: ARG002 - an agent passes them
        self.values.append(value)


class Ends:
    """The ends of logs whose records have all been read."""

    def __init__(self) -> None:
        self.offsets: dict[TP, int] = defaultdict(int)

    def __call__(self, tp: TP) -> LogEnd:
        return LogEnd(self.offsets[tp], 0.0, self.offsets[tp])


def beat(partition: int, second: int, number: int) -> Block:
    """Return a heartbeat of one source, which a feed sends to every partition once a second."""
    offset, at_ms = second * len(SOURCES) + number, START_MS + second * 1000
    headers = to_headers(Heartbeat(SOURCES[number], at_ms, PARTITIONS, keyed=(Keyed(0, PARTITIONS),)))
    return block(TRADES.name, partition, offset, [None], at_ms, {0: tuple(headers)})


def block(topic: str, partition: int, start: int, values: Sequence[bytes | None], at_ms: int, headers: dict) -> Block:  # type: ignore[type-arg]  # of any headers
    n = len(values)
    return Block(topic, partition, start, start + n, np.arange(start, start + n), values, np.full(n, at_ms), headers)


def own(worker: int) -> list[int]:
    return list(range(worker, PARTITIONS, WORKERS))


def positions(topic: str, owned: Sequence[int], partitions: int) -> dict[TP, Position]:
    return {TP(topic, one): Position(0, 0, None, "", partitions) for one in owned}


async def frames(worker: int, seconds: int) -> list[list[bytes | None]]:
    """Return what a worker sends to one shard in each second; no symbol of its partitions is in that shard."""
    sent, ends = Captured(), Ends()
    agent = SlicingAgent(TRADE_SLICES, Settings(), sent, 1, ends, Workload())  # type: ignore[arg-type]  # it sends
    agent.restore(positions(TRADES.name, own(worker), PARTITIONS))
    found = []
    for second in range(seconds):
        for partition in own(worker):
            for number in range(len(SOURCES)):
                ends.offsets[TP(TRADES.name, partition)] += 1
                agent.receive(beat(partition, second, number))
        sent.values = []
        agent.flush()
        found.append(sent.values)
    agent.stop()
    return found


class Nothing:
    """An agent without partitions: what it costs, any worker costs."""

    topic = "none"

    def restore(self, positions: object) -> dict[TP, int]:  # noqa: ARG002 - it has none
        return {}

    def flush(self) -> None: ...
    def checkpoint(self) -> dict[TP, tuple[int, str]]:
        return {}

    def stop(self) -> None: ...


class Running:
    """An agent with its coordinator, which receives blocks in real time."""

    def __init__(self, agent: Agent, producer: Producer, ends: Ends, workload: Workload) -> None:
        self.agent, self.producer, self.ends = agent, producer, ends
        self.coordinator = Coordinator(Blocks(frozenset((agent.topic,)), 2000, 1 << 20), workload)

    async def run(self, owned: dict[TP, Position], due: Callable[[float], Sequence[Block]]) -> float:
        """Pass on the blocks that are due, and commit once a second; return the CPU it took, as a share of a core."""
        coordinator, loop = self.coordinator, asyncio.get_running_loop()
        coordinator.start([self.agent], self.producer, None, PartitionMetrics(self.ends))
        coordinator.restore(owned)
        began = loop.time()
        cpu, since, commit_at = 0.0, 0.0, 1.0
        while (now := loop.time() - began) < WARM_SECONDS + SECONDS:
            if not since and now >= WARM_SECONDS:
                cpu, since = time.process_time(), now
            for one in due(now):
                self.ends.offsets[TP(one.topic, one.partition)] = one.end
                await coordinator.receive(one)
            if now >= commit_at:
                commit_at += 1.0
                coordinator.committed(await coordinator.shortened(await coordinator.checkpoint()))
            await asyncio.sleep(FETCH_SECONDS)
        share = (time.process_time() - cpu) / (now - since)
        await coordinator.stop()
        return share


def heartbeats_due() -> Callable[[float], list[Block]]:
    """Return what a fetch of the worker's own partitions brings, by the time since the start, seconds."""
    n = len(own(0)) * len(SOURCES)
    given = 0

    def due(now: float) -> list[Block]:
        nonlocal given
        found = []
        while given < now * n:
            second, at = divmod(given, n)
            number, partition = divmod(at, len(own(0)))
            found.append(beat(own(0)[partition], second, number))
            given += 1
        return found

    return due


def frames_due(sent: list[list[list[bytes | None]]]) -> Callable[[float], list[Block]]:
    """Return what a fetch of the shard brings; all workers send once a second, at about the same time."""
    given = offset = 0

    def due(now: float) -> list[Block]:
        nonlocal given, offset
        values: list[bytes | None] = []
        while given < (int(now) + min(1.0, now % 1.0 / SPREAD_SECONDS)) * WORKERS:
            second, worker = divmod(given, WORKERS)
            values += sent[worker][second]
            given += 1
        first, offset = offset, offset + len(values)
        return [block(SLICES.name, 0, first, values, START_MS, {})] if values else []

    return due


async def _measure(broker: str) -> dict[str, float]:
    settings = Settings(broker)
    agents = configured(settings)
    memory.tune()
    sent = [await frames(worker, WARM_SECONDS + SECONDS + 2) for worker in range(WORKERS)]
    async with Producer(settings) as producer:
        rounds = [await _round(settings, agents, producer, sent) for _ in range(ROUNDS)]
    both = [one["worker_core"] + one["shard_core"] for one in rounds]
    return {name: median(one[name] for one in rounds) for name in rounds[0]} | {
        "core": median(both),
        "best_core": min(both),
        "records_per_second": float(sum(len(one[-1]) for one in sent)),
        "bytes_per_second": float(sum(len(value or b"") for one in sent for value in one[-1])),
    }


async def _round(
    settings: Settings, agents: Agents, producer: Producer, sent: list[list[list[bytes | None]]]
) -> dict[str, float]:
    ends, workload = Ends(), Workload(settings.coalesce_ms / 1000)
    idle = await Running(Nothing(), producer, ends, workload).run({}, lambda _: [])  # type: ignore[arg-type]  # no block
    sinks = {output.sink: 8 for output in outputs_of(agents.windowings, agents.recipes, settings)}
    of_trades = [windowing for windowing in agents.windowings if windowing.slicing.topic == TRADES]
    fast_lane = FastLane(of_trades, settings, producer, sinks, KeyedTopics())
    slicing = SlicingAgent(TRADE_SLICES, settings, producer, SHARDS, ends, workload, fast_lane)
    worker = await Running(slicing, producer, ends, workload).run(
        positions(TRADES.name, own(0), PARTITIONS), heartbeats_due()
    )
    ends, workload = Ends(), Workload(settings.coalesce_ms / 1000)
    windows = WindowAgent(agents.windowings, settings, producer, sinks, ends, workload, recipes=agents.recipes)
    shard = await Running(windows, producer, ends, workload).run(positions(SLICES.name, [0], SHARDS), frames_due(sent))
    return {"worker_core": worker - idle, "shard_core": shard - idle, "idle_core": idle}


def measure(broker: str) -> dict[str, float]:
    topics.create(replace(Settings(broker), partitions={SLICES.name: SHARDS}))
    return asyncio.run(_measure(broker))


def show(console: Console, figures: dict[str, float]) -> bool:
    ok = figures["core"] < CEILING
    console.print(
        f"fan-out without events, at {PARTITIONS:,} partitions, {SHARDS} shards, {WORKERS} workers, the medians of "
        f"{ROUNDS} rounds: a slicing worker {figures['worker_core']:.1%} of a core, a shard "
        f"{figures['shard_core']:.1%}, together {figures['core']:.1%} (best {figures['best_core']:.1%}) beside the "
        f"{figures['idle_core']:.1%} of a worker without partitions; ceiling {CEILING:.0%} "
        f"{'met' if ok else 'MISSED'}; each shard gets {figures['records_per_second']:,.0f} records and "
        f"{figures['bytes_per_second'] / 1000:,.0f} kB a second",
        highlight=False,
    )
    return ok

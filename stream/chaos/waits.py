"""The start and the end of a chaos run: what it waits for before the first fault, and after the last."""

import asyncio
import time

from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import HOUR_MS, SLICES
from tickertape.stream.chaos.oracle.feed import SOURCES, TOPICS
from tickertape.stream.chaos.oracle.truth import Bars
from tickertape.stream.chaos.watch import Sink
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.worker.coordinator import FRAME_SECONDS
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.clients.producer import Producer

# After these times something is stuck, whatever the fault and however busy the machine.
READY_SECONDS = 120.0
FINAL_SECONDS = 180.0


async def send_first_heartbeats(settings: Settings, began_ms: int) -> None:
    """Send every partition a heartbeat of every source before any worker starts, so that no result lacks one."""
    async with Producer(settings) as producer:
        for topic in TOPICS:
            for partition in range(await producer.partitions(topic.name)):
                for source in SOURCES:
                    headers = to_headers(Heartbeat(source, began_ms - HOUR_MS))
                    producer.send(topic.name, partition, None, None, headers)


async def wait_until_owned(settings: Settings, workers: int) -> list[str]:
    """Wait until the workers own all partitions; return what is wrong after the time-out."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        group = await asyncio.to_thread(members.describe, settings)
        if group.stable and len(group.owned) == workers and all(group.owned.values()):
            return []
        await asyncio.sleep(0.3)
    return [f"the workers were not ready within {READY_SECONDS:g} s"]


async def wait_until_final(settings: Settings, sink: Sink, bars: Bars) -> list[str]:
    """Wait until all input is read and every bar is final; return what is wrong after the time-out."""
    expected = {"|".join(map(str, key)).encode() for key in bars}
    until = time.monotonic() + FINAL_SECONDS
    # Frames never stop. Those that close the last windows follow the inputs' end within two frame intervals.
    ends: dict[int, int] | None = None
    read_at: float | None = None
    while time.monotonic() < until:
        *inputs, slices = await asyncio.to_thread(topics.describe, settings, [*TOPICS, SLICES])
        if read_at is None and not any(state.lag for state in inputs):
            read_at = time.monotonic()
        if ends is None and read_at is not None and time.monotonic() > read_at + 2 * FRAME_SECONDS:
            ends = {state.partition: state.end for state in slices.partitions}
        read = ends is not None and all((s.upto or 0) >= ends[s.partition] for s in slices.partitions)
        if read and all(sink.final.get(key) for key in expected):
            return []
        await asyncio.sleep(0.5)
    missing = sum(not sink.final.get(key) for key in expected)
    return [f"stuck: {missing} bars are not final {FINAL_SECONDS:g} s after the feeds closed them"]

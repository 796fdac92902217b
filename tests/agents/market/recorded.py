"""Recorded events through slices and windows, in process: cut into blocks at random, partitions taking turns."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pytest

from tickertape.schemas.checkpoint import Views
from tickertape.schemas.events import TOPICS
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.define.recipes import Windowing
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files.reading import Tally, read

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "market"
SYMBOLS = {"BTC-USDT": "btcusdt", "ETH-USDT": "ethusdt"}
CLOSE_MS = 3 * 3_600_000

needed = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recorded input is not at {RECORDED}"),
]

#: By symbol, source, resolution and start.
Results: TypeAlias = dict[tuple[str, str, str, int], Any]


def path(symbol: str) -> Path:
    return RECORDED / f"binance-spot-{SYMBOLS[symbol]}-20240808.jsonl.gz"


@cache
def _all() -> list[Any]:
    return list(read([path(symbol) for symbol in SYMBOLS], format_named("binance", ()), Tally()))


@cache
def events(topic: str) -> list[Any]:
    """Return the events of both files that go to a topic, merged by when they were received, as the feed reads them."""
    return [event for event in _all() if TOPICS[type(event)].name == topic]


def _logs(topic: str, partitions: int, *, spread: bool) -> list[list[Any]]:
    """Deal the events out: by symbol, or one after the other."""
    found: list[list[Any]] = [[] for _ in range(partitions)]
    for i, event in enumerate(events(topic)):
        found[(i if spread else list(SYMBOLS).index(event.symbol)) % partitions].append(event)
    return found


def _blocks(topic: str, partition: int, log: Sequence[Any], random: Random) -> Iterator[Block]:
    """Cut a log of events, between two heartbeats, into blocks of random sizes."""
    first, last = events(topic)[0].time_ms - CLOSE_MS, events(topic)[-1].time_ms + CLOSE_MS
    beats = [tuple(to_headers(Heartbeat("binance", at))) for at in (first, last)]
    values = [None, *map(msgspec.json.encode, log), None]
    start = 0
    while start < len(values):
        end = min(start + random.choice([1, 7, 100, 1000, 5000]), len(values))
        headers = {at - start: beat for at, beat in ((0, beats[0]), (len(values) - 1, beats[1])) if start <= at < end}
        yield Block(
            topic,
            partition,
            start,
            end,
            np.arange(start, end),
            values[start:end],
            np.zeros(end - start, int),
            headers,
        )
        start = end


def results(windowing: Windowing, partitions: int, seed: int, *, spread: bool = False) -> Results:
    """Run the pipeline; partitions take turns at random, and windows are flushed now and then."""
    random, topic = Random(seed), windowing.slicing.topic.name
    windows = Windows(windowing, slice_ms=1000, horizon_ms=60_000, epoch="e")
    windows.assign(0, Views())
    windows.start_publishing(0)
    held: Results = {}
    queues, offset = [], 0
    for partition, log in enumerate(_logs(topic, partitions, spread=spread)):
        slicer = Slicer(
            windowing.slicing,
            partition,
            partitions,
            slice_ms=1000,
            skew_ms=5000,
            lateness_ms=2000,
            epoch="e",
            checkpoint=None,
            committed=None,
            begin=0,
        )
        queues.append((slicer, _blocks(topic, partition, log, random)))

    def flush() -> None:
        for _, _, _, value in windows.flush():
            one: Any = msgspec.json.decode(value, type=windowing.result)
            key = one.symbol, one.source, one.resolution, one.start_ms
            if key not in held or (one.final, one.revision) >= (held[key].final, held[key].revision):
                held[key] = one

    while queues:
        slicer, queue = turn = random.choice(queues)
        block = next(queue, None)
        if block is None:
            queues.remove(turn)
            assert slicer.tallies.counted == slicer.upto - 2
            continue
        assert slicer.fold(block) == []
        for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
            windows.apply_frame(0, offset, frame)
            offset += 1
        if random.random() < 0.1:
            flush()
    flush()
    assert windows.late() == []
    assert len(windows) == 0
    return held


def assert_equal(found: Results, expected: Results, *, summed: Sequence[str]) -> None:
    """Compare all, those fields that are made of sums up to the order in which they were summed."""
    assert found.keys() == expected.keys()
    for key, one in found.items():
        for name in one.__struct_fields__:
            value = getattr(expected[key], name)
            assert getattr(one, name) == (pytest.approx(value, rel=1e-12) if name in summed else value), (key, name)

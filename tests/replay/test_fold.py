"""Logs to results: when a lane last spoke, and what that lets become final."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from tests.replay.generated import START_MS
from tickertape.agents.market.bars import Bar
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.replay import fold
from tickertape.stream.replay.final_lanes import final_lanes
from tickertape.stream.replay.fold import Job


@pytest.mark.parametrize("block_records", [1, 4, 100])
def test_it_is_known_within_a_tenth_of_the_idle_time_out(tmp_path: Path, block_records: int) -> None:
    # One heartbeat a second, of `a` for 20 s and of `b` for 60 s.
    beats = [Heartbeat("a" if i < 40 and i % 2 else "b", START_MS + 1000 * i) for i in range(60)]
    appended_ms = np.arange(60) * 1000 + START_MS
    job = Job(Settings(idle_seconds=30.0), "trades", 1, 1, str(tmp_path))
    slicing = fold._Slicing(job, 0, 0, lambda *_: None)
    for first in range(0, 60, block_records):
        some = beats[first : first + block_records]
        at = np.arange(first, first + len(some))
        headers = {i: tuple(to_headers(beat)) for i, beat in enumerate(some)}
        slicing.receive(Block("trades", 0, first, first + len(some), at, [None] * len(some), appended_ms[at], headers))
    sliced = slicing.close()
    assert sliced.heard_ms == {"a": START_MS + 39_000, "b": START_MS + 57_000}
    assert (sliced.first_ms, sliced.last_ms) == (START_MS, START_MS + 59_000)
    assert sliced.tallies.heartbeats == 60


def trade(source: str, at_ms: int) -> bytes:
    fields = {"symbol": "A-USD", "source": source, "id": at_ms, "price": 1.0, "quantity": 1.0, "side": "buy"}
    return msgspec.json.encode(fields | {"time_ms": START_MS + at_ms, "received_ms": START_MS + at_ms})


def test_a_source_that_is_gone_or_elsewhere_holds_nothing_back(tmp_path: Path) -> None:
    # `b` is on partition 0 alone, and ends after 5 s; `a` goes on for 60 s on both.
    logs = [[("a", s) for s in range(60)], [("a", s) for s in range(60)]]
    logs[0] += [("b", s) for s in range(5)]
    job, sliced = Job(Settings(idle_seconds=30.0), "trades", 2, 1, str(tmp_path)), []
    for partition, log in enumerate(logs):
        log.sort(key=lambda entry: entry[1])
        slicing = fold._Slicing(job, partition, 0, lambda *_: None)
        n, times_ms = len(log), np.array([START_MS + 1000 * s for _, s in log])
        values: list[bytes | None] = [trade(source, 1000 * s + partition) for source, s in log]
        slicing.receive(Block("trades", partition, 0, n, np.arange(n), values, times_ms))
        sliced.append(slicing.close())
    merged = fold.merge_shard(job, 0, final_lanes(sliced, 30_000), lambda *_: None)
    with pa.memory_map(str(job.results("bars", 0))) as file:
        bars = [Bar(**row) for row in pa.ipc.open_file(file).read_all().to_pylist()]
    counts = {(bar.source, bar.start_ms - START_MS): bar.count for bar in bars if bar.resolution == "1s"}
    # The last trade is 59 s after the first, and the frontier 2 s behind it.
    assert counts == (
        {("a", 1000 * s): 2 for s in range(57)}
        | {("b", 1000 * s): 1 for s in range(5)}
        | {("all", 1000 * s): 3 if s < 5 else 2 for s in range(57)}
    )
    assert f"A-USD|all|1s|{START_MS + 57_000}" in merged.open["bars"]
    assert f"A-USD|all|1h|{START_MS - START_MS % 3_600_000}" in merged.open["bars"]

    # Had it fallen silent only now, it would hold back its own results and those of all.
    merged = fold.merge_shard(job, 0, final_lanes(sliced, 60_000), lambda *_: None)
    assert f"A-USD|all|1s|{START_MS + 2_000}" in merged.open["bars"]

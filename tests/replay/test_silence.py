"""When a lane last spoke, by the times at which its records were appended."""

from pathlib import Path

import numpy as np
import pytest

from schemas.heartbeat import Heartbeat, to_headers
from stream.engine.block import Block
from stream.replay import fold
from stream.replay.fold import Job
from stream.settings import Settings
from tests.replay.generated import START_MS


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

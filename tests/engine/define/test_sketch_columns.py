"""Columns of sketches on their way: in frames, in windows, in snapshots and in other shards the same bytes come out."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine import notes
from tests.engine.blocks import EPOCH, HOUR_MS, Log
from tests.engine.notes import WINDOWING, WORDS, WRITERS, Window, note, slicer
from tests.engine.slices.test_named import steps, written
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.stream.engine.frames.packing import BadFrame
from tickertape.stream.engine.frames.resharding import Resharding
from tickertape.stream.engine.recovery.state import fingerprint, from_bytes, to_bytes
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.kafka.partition import partition_for

FAR_MS = 1_000_000


def frames(log: Log, cuts: set[int], shards: int = 1) -> list[tuple[int, Frame]]:
    """Return the frames of a log, block by block, as they are read from Kafka."""
    owner, sent = slicer(), []
    for block in log.blocks(cuts):
        owner.fold(block)
        sent += owner.flush(lambda symbol: partition_for(symbol, shards), shards, everyone=True)
    return [(shard, msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=Frame)) for shard, frame in sent]


def owned(windows: Windows | None = None, state: Any = None) -> Windows:
    windows = notes.windows() if windows is None else windows
    windows.assign(0, Views(), 0, state)
    windows.start_publishing(0)
    return windows


def published(windows: Windows) -> dict[bytes, bytes]:
    """Flush, and return the finals."""
    return {key: value for _, _, key, value in windows.flush() if msgspec.json.decode(value, type=Window).final}


def closed(drawn: Any) -> Log:
    return written(drawn).beat(FAR_MS, "s").beat(FAR_MS, "t")


def test_what_a_window_says() -> None:
    log = note(Log(), 0, "A x y", 1, writer="v")
    note(log, 1500, "A x", 2, writer="w")
    note(log, 1700, "A x", 3, writer="w")
    windows = owned()
    ((_, frame),) = frames(log.beat(9000), set())
    windows.apply_frame(0, 0, frame)
    results = [msgspec.json.decode(value, type=Window) for _, _, _, value in windows.flush()]
    (window,) = [one for one in results if (one.source, one.resolution, one.start_ms) == ("s", "3s", HOUR_MS)]
    assert window.words == [("A", 3), ("x", 3), ("y", 1)]
    assert round(window.writers) == 2
    assert (window.count, window.missed) == (3, 0)


@settings(max_examples=60)
@given(drawn=steps, cuts=st.sets(st.integers(1, 60), max_size=6), snaps=st.sets(st.integers(0, 8), max_size=3))
def test_finals_are_the_same_bytes_whatever_the_blocks_and_whoever_goes_on_from_a_snapshot(
    drawn: Any, cuts: set[int], snaps: set[int]
) -> None:
    log = closed(drawn)
    finals = {}
    plain = owned()
    for offset, (_, frame) in enumerate(frames(log, set())):
        plain.apply_frame(0, offset, frame)
    expected = published(plain)
    windows = owned()
    for offset, (_, frame) in enumerate(frames(log, cuts)):
        windows.apply_frame(0, offset, frame)
        finals |= published(windows)
        if offset in snaps:
            (state,) = from_bytes(to_bytes([windows.state(0)]))
            windows = owned(state=state)
    assert finals == expected


@settings(max_examples=40)
@given(drawn=steps, cuts=st.sets(st.integers(1, 60), max_size=6))
def test_in_other_shards_they_are_the_same_bytes(drawn: Any, cuts: set[int]) -> None:
    log = closed(drawn)
    one = owned()
    for offset, (_, frame) in enumerate(frames(log, set())):
        one.apply_frame(0, offset, frame)
    resharding = Resharding(2, 3, slice_ms=1000, epoch=EPOCH)
    split = [part for shard, frame in frames(log, cuts, 2) for part in resharding.split(shard, frame)]
    split += resharding.lanes(end=True)
    finals: dict[bytes, bytes] = {}
    for shard in range(3):
        windows = owned()
        for offset, frame in enumerate(frame for to, frame in split if to == shard):
            windows.apply_frame(0, offset, frame)
        finals |= published(windows)
    assert finals == published(one)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({}, f"it has no {WORDS.column}, {WRITERS.column}"),
        ({WORDS.column: [b""], WRITERS.column: []}, f"column {WRITERS.column} has 0 sketches, and there are 1 slices"),
        ({WORDS.column: [b""], WRITERS.column: [b"abc"]}, "a sketch ends within a register"),
        ({WORDS.column: [b""], WRITERS.column: [b"\xff\xff\xff\xff"]}, "a register or its rank is out of range"),
        ({WORDS.column: [b"\xc1"], WRITERS.column: [b""]}, f"column {WORDS.column}: MessagePack data is malformed"),
        ({WORDS.column: [msgspec.msgpack.encode((0, dict.fromkeys("abcd", 1)))], WRITERS.column: [b""]}, "3 are kept"),
    ],
)
def test_a_frame_with_a_bad_sketch_is_turned_down(wrong: dict[str, list[bytes]], reason: str) -> None:
    ((_, frame),) = frames(note(Log(), 0, "A"), set())
    windows = owned()
    with pytest.raises(BadFrame, match=reason):
        windows.apply_frame(0, 0, msgspec.structs.replace(frame, sketches=wrong))
    assert not windows.flush()


def test_sketches_of_another_size_are_another_column() -> None:
    class Larger(notes.NoteSlice):
        reducers = (*notes.NoteSlice.reducers[:-1], notes.Frequent("words", size=4))

    larger = replace(WINDOWING, slicing=replace(WINDOWING.slicing, aggregate=Larger()), aggregate=Larger())
    assert fingerprint([larger], EPOCH, fill=False) != fingerprint([WINDOWING], EPOCH, fill=False)
    ((_, frame),) = frames(note(Log(), 0, "A"), set())
    with pytest.raises(BadFrame, match="it has no words_top4"):
        owned(Windows(larger, slice_ms=1000, horizon_ms=0, epoch=EPOCH)).apply_frame(0, 0, frame)

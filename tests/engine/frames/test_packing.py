"""Upserts as a frame has them: packed, looked at, and read again by the second stage."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.engine.blocks import HOUR_MS, TICKS
from tests.engine.made_frames import frame, upsert
from tickertape.schemas.frame import Frame, Lane
from tickertape.stream.engine.core.names import Names
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Sum
from tickertape.stream.engine.frames.packing import BadFrame, Inspector, pack
from tickertape.stream.engine.frames.upserts import Arrival, SliceKey, Upserts, unpack

SCHEMA = TICKS.aggregate.schema


def columns(*totals: float) -> dict[str, Any]:
    made = {name: np.zeros(len(totals), dtype) for name, (dtype, _) in SCHEMA.items()}
    return made | {"total": np.array(totals)}


def slices(*slices: tuple[int, int, int]) -> dict[str, Any]:
    """Return the columns of slices by the codes of source and symbol and the start, ms after the hour."""
    source, symbol, start_ms = np.array(slices, np.int64).T
    return {"source": source, "symbol": symbol, "slice_ms": HOUR_MS + start_ms}


def keys(found: Upserts) -> list[SliceKey]:
    return found.keys(np.arange(len(found.columns["slice_ms"])))


def test_what_is_packed_is_what_is_unpacked() -> None:
    held = slices((1, 2, 1000), (0, 4, 0), (0, 2, 0)) | columns(1.0, 2.0, 3.0)
    # Rows of a table are in no order, and its codes have gaps.
    packed = pack(held, np.array([2, 0, 1]), ["s", "t"], ["", "", "A", "", "B"], SCHEMA)
    assert (packed["sources"], packed["symbols"]) == (["s", "t"], ["A", "B"])
    said = replace(frame(7, partition=4), **packed)
    found = unpack([Arrival(9, 55, said, [0, 0])], 1000, SCHEMA, Names(), Names())
    assert keys(found) == [(4, "s", "A", HOUR_MS), (4, "t", "A", HOUR_MS + 1000), (4, "s", "B", HOUR_MS)]
    assert found.columns["total"].tolist() == [3.0, 1.0, 2.0]
    assert [found.sources[code] for code in found.columns["source"].tolist()] == ["s", "t", "s"]
    assert {name: set(found.columns[name].tolist()) for name in ("partition", "shard", "offset", "stamp")} == {
        "partition": {4},
        "shard": {9},
        "offset": {55},
        "stamp": {7},
    }


def test_frames_are_read_as_one_with_names_of_their_own() -> None:
    one = frame(1, upsert(0, 1.0, source="x", symbol="B"))
    two = frame(2, upsert(0, 2.0, source="y", symbol="A"), upsert(1000, 4.0, source="x", symbol="A"), partition=1)
    found = unpack([Arrival(0, 1, one, [0]), Arrival(0, 2, two, [0, 0])], 1000, SCHEMA, Names(), Names())
    assert keys(found) == [(0, "x", "B", HOUR_MS), (1, "y", "A", HOUR_MS), (1, "x", "A", HOUR_MS + 1000)]
    assert found.columns["stamp"].tolist() == [1, 2, 2]


def test_a_slice_that_its_lane_has_passed_is_left_out() -> None:
    said = frame(1, upsert(0, 1.0), upsert(1000, 2.0))
    # The slice from 0 ends at 1000: a lane that stands there is done with it.
    found = unpack([Arrival(0, 1, said, [HOUR_MS + 1000])], 1000, SCHEMA, Names(), Names())
    assert keys(found) == [(0, "s", "A", HOUR_MS + 1000)]
    found = unpack([Arrival(0, 1, said, [HOUR_MS + 999])], 1000, SCHEMA, Names(), Names())
    assert len(keys(found)) == 2


def test_a_frame_without_upserts_needs_no_columns_but_valid_names() -> None:
    empty = replace(frame(1, lanes={"s": 0}), sources=[], symbols=[], columns={}, sketches={})
    Inspector(TICKS.aggregate).inspect(empty)
    with pytest.raises(BadFrame, match="all"):
        Inspector(TICKS.aggregate).inspect(replace(empty, lanes=[Lane("all", 0, 0)]))
    with pytest.raises(BadFrame, match="slice_ms"):
        Inspector(TICKS.aggregate).inspect(replace(empty, columns={"total": b""}))


class Rare(Aggregate):
    """A sum, and one that is mostly zero."""

    reducers = (Sum("total"), Sum("rare", INT, optional=True))


def test_an_optional_column_is_left_out_where_it_is_zero_and_read_as_zeros() -> None:
    schema, names = Rare.schema, (["s"], ["A", "B"])
    held = slices((0, 0, 0), (0, 1, 0)) | {"total": np.array([1.0, 2.0]), "rare": np.array([0, 0])}
    without = pack(held, np.array([0, 1]), *names, schema, Rare.optional)
    assert without["columns"].keys() == {"source", "symbol", "slice_ms", "total"}
    some = pack(held | {"rare": np.array([0, 7])}, np.array([0, 1]), *names, schema, Rare.optional)
    frames = [replace(frame(1), **without), replace(frame(2, partition=1), **some)]
    for one in frames:
        Inspector(Rare()).inspect(one)
    arrivals = [Arrival(0, offset, one, [0]) for offset, one in enumerate(frames)]
    found = unpack(arrivals, 1000, schema, Names(), Names())
    assert found.columns["rare"].tolist() == [0, 0, 0, 7]
    assert found.columns["total"].tolist() == [1.0, 2.0, 1.0, 2.0]


def test_an_optional_column_that_is_there_has_a_length_too() -> None:
    held = slices((0, 0, 0)) | {"total": np.ones(1), "rare": np.zeros(1, int)}
    packed = pack(held, np.array([0]), ["s"], ["A"], Rare.schema)
    packed["columns"]["rare"] = b"short"
    with pytest.raises(BadFrame, match="column rare has 5 bytes, and 1 slices need 8"):
        Inspector(Rare()).inspect(replace(frame(1), **packed))


def changed(**columns: bytes) -> Frame:
    said = frame(1, upsert(0, 1.0))
    return replace(said, columns=said.columns | columns)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (changed(total=b""), "column total has 0 bytes, and 1 slices need 8"),
        (changed(shown=b"\x01\x01"), "column shown has 2 bytes, and 1 slices need 1"),
        (changed(symbol=b"\x01\x00\x00\x00"), "column symbol has the code 1, and there are 1 names"),
        (changed(slice_ms=b"\xff" * 8), "a slice begins at -1 ms"),
        (replace(frame(1), columns={"slice_ms": bytes(8)}), "it has no "),
        (replace(frame(1, upsert(0, 1.0)), sources=["a|b"]), "'a|b' has a `|`"),
    ],
)
def test_what_can_not_be_is_told_of(wrong: Frame, told: str) -> None:
    Inspector(TICKS.aggregate).inspect(frame(1, upsert(0, 1.0)))
    with pytest.raises(BadFrame) as raised:
        Inspector(TICKS.aggregate).inspect(wrong)
    assert told in str(raised.value)

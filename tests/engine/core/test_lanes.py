"""A lane's watermark and frontier, moved record by record."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.schemas.frame import NEVER_MS, Lane
from tickertape.stream.engine.core.lanes import Lanes


def frontiers_before(lanes: Lanes, *times_ms: int, source: str = "s") -> list[int]:
    return lanes.advance(source, np.array(times_ms)).tolist()


def test_each_record_meets_the_frontier_that_those_before_it_left() -> None:
    lanes = Lanes(2000, [])
    #                  5000 → 3000, 4000 moves nothing, 9000 → 7000
    assert frontiers_before(lanes, 5000, 4000, 9000, 6000) == [NEVER_MS, 3000, 3000, 7000]
    assert (lanes.watermark_ms, lanes.frontier_ms) == ({"s": 9000}, {"s": 7000})


def test_the_next_call_goes_on_where_the_last_one_ended() -> None:
    lanes = Lanes(2000, [])
    frontiers_before(lanes, 5000)
    assert frontiers_before(lanes, 1000) == [3000]
    assert lanes.watermark_ms == {"s": 5000}


def test_lanes_know_nothing_of_each_other() -> None:
    lanes = Lanes(0, [])
    frontiers_before(lanes, 9000, source="a")
    assert frontiers_before(lanes, 1000, source="b") == [NEVER_MS]
    assert lanes.frontier_ms == {"a": 9000, "b": 1000}


def test_a_frontier_does_not_move_back_when_the_lateness_grows() -> None:
    lanes = Lanes(5000, [Lane("s", watermark_ms=9000, frontier_ms=8000)])
    # 5000 behind 12000 would be behind 8000; behind 13500 it isn't.
    assert frontiers_before(lanes, 12000, 13500, 13500) == [8000, 8000, 8500]
    assert lanes.frontier_ms == {"s": 8500}


def test_a_smaller_lateness_holds_from_the_next_record_on() -> None:
    lanes = Lanes(1000, [Lane("s", watermark_ms=9000, frontier_ms=4000)])
    # The watermark's own 8000 counts only once something has been read.
    assert frontiers_before(lanes, 3000, 3000) == [4000, 8000]


times = st.lists(st.integers(0, 50), min_size=1, max_size=30)


@settings(max_examples=150)
@given(
    times=times,
    lateness=st.integers(0, 12),
    saved=st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(-5, 40))),
    data=st.data(),
)
def test_any_chunks_are_record_by_record(
    times: list[int], lateness: int, saved: tuple[int, int] | None, data: st.DataObject
) -> None:
    lanes = Lanes(lateness, [Lane("s", *saved)] if saved else [])
    got: list[int] = []
    rest = times
    while rest:
        n = data.draw(st.integers(1, len(rest)))
        got += frontiers_before(lanes, *rest[:n])
        rest = rest[n:]

    watermark, frontier = saved or (NEVER_MS, NEVER_MS)
    expected = []
    for time in times:
        expected.append(frontier)
        watermark = max(watermark, time)
        frontier = max(frontier, watermark - lateness)
    assert got == expected
    assert got == sorted(got)
    assert (lanes.watermark_ms["s"], lanes.frontier_ms["s"]) == (watermark, frontier)


def test_a_source_that_ends_closes_what_it_is_told_and_goes_on_when_it_speaks_again() -> None:
    lanes = Lanes(2000, [])
    lanes.advance("s", np.array([5400]))
    lanes.end("s", 6000)
    assert lanes.to_list() == [Lane("s", 5400, 6000, ended=True)]
    assert Lanes(2000, lanes.to_list()).to_list() == lanes.to_list()
    assert lanes.advance("s", np.array([5900, 8500])).tolist() == [6000, 6000]
    assert lanes.to_list() == [Lane("s", 8500, 6500)]

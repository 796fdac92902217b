"""What a shard leaves to the fast lane: only provisional results that are published as the shard has them."""

import pytest

from tests.engine.made_frames import Shard, frame, upsert

OF_SOURCE, OF_ALL = 1, 2
S1, S3 = ("s", "1s", 0, "A"), ("s", "3s", 0, "A")
ALL1, ALL3 = ("all", "1s", 0, "A"), ("all", "3s", 0, "A")


@pytest.mark.parametrize(
    ("shown", "left"), [(0, {S1, ALL1}), (OF_SOURCE, {ALL1}), (OF_ALL, {S1}), (OF_SOURCE | OF_ALL, set())]
)
def test_what_the_fast_lane_has_published_is_left_out(shown: int, left: set[tuple[str, str, int, str]]) -> None:
    shard = Shard()
    # Longer windows are the shard's own.
    assert shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}, shown=[shown])).keys() == left | {S3, ALL3}
    # So are finals.
    assert shard.says(frame(2, lanes={"s": 1000})) == {S1: (1, 1.0, True), ALL1: (1, 1.0, True)}


def test_each_slice_is_left_out_by_itself() -> None:
    shard = Shard()
    told = shard.says(frame(1, upsert(0, 1.0), upsert(0, 2.0, symbol="B"), lanes={"s": 0}, shown=[3, 0]))
    assert {key for key in told if key[1] == "1s"} == {("s", "1s", 0, "B"), ("all", "1s", 0, "B")}


def test_what_is_not_published_as_it_is_now_is_published_here() -> None:
    shard = Shard()
    assert not shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}, shown=[3])).keys() & {S1, ALL1}
    told = shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0}))
    assert (told[S1], told[ALL1]) == ((2, 3.0, False), (2, 3.0, False))


def test_of_upserts_that_arrive_together_the_one_with_the_highest_stamp_says_it() -> None:
    for first, second, count in ((3, 0, 1), (0, 3, 0)):
        shard = Shard()
        one = frame(1, upsert(0, 1.0), lanes={"s": 0}, shown=[first])
        other = frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0}, shown=[second])
        for frames in ((one, other), (other, one)):
            shard = Shard()
            assert list(shard.says(*frames)).count(S1) == count


def test_another_partitions_slice_is_published_with_what_the_fast_lane_has() -> None:
    shard = Shard()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}, partitions=2, shown=[3]))
    told = shard.says(frame(1, upsert(0, 2.0, source="t"), lanes={"t": 0}, partition=1, partitions=2))
    assert told[ALL1] == (2, 3.0, False)
    assert S1 not in told


def test_a_correction_of_a_final_window_is_never_left_to_the_fast_lane() -> None:
    shard = Shard()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0, "t": 1000}, idle=["s"]))
    assert shard.holds[ALL1].final
    told = shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0, "t": 1000}, shown=[3]))
    assert told[ALL1] == (2, 3.0, True)

"""When slices are folded for good."""

from tests.engine.made_frames import Shard, frame, upsert


def test_slices_are_folded_once_an_idle_lane_has_passed_them_though_nothing_becomes_final() -> None:
    shard, lanes = Shard(), {"s": 5000, "t": 5000}
    shard.says(frame(1, lanes=lanes, partition=1, partitions=2))
    shard.says(frame(1, upsert(2000, 1.0), lanes=lanes | {"t": 1000}, idle=["t"], partitions=2))
    assert shard.windows.slices_from(0) == 1
    assert shard.says(frame(2, lanes=lanes | {"t": 2999}, idle=["t"], partitions=2)) == {}
    assert shard.windows.slices_from(0) == 1
    assert shard.says(frame(3, lanes=lanes | {"t": 3000}, idle=["t"], partitions=2)) == {}
    assert shard.windows.slices_from(0) == 0

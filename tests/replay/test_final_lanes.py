"""What holds back no result, once a log has been read to its end."""

import msgspec

from tickertape.schemas.frame import Lane, Tallies
from tickertape.stream.replay.final_lanes import FinalLanes, Sliced, final_lanes


def sliced(partition: int, lanes: dict[str, tuple[int, int]], last_ms: int) -> Sliced:
    """``lanes``: by source, its frontier and when its last record was appended."""
    return Sliced(
        partition,
        0,
        Tallies(),
        [Lane(source, frontier_ms + 2000, frontier_ms) for source, (frontier_ms, _) in lanes.items()],
        [],
        {source: heard_ms for source, (_, heard_ms) in lanes.items()},
        0,
        last_ms,
    )


def test_a_source_that_a_partition_has_nothing_of_is_as_far_as_the_others() -> None:
    found = final_lanes(
        [sliced(0, {"a": (50, 1000)}, 1000), sliced(1, {"a": (40, 1000), "b": (70, 1000)}, 1000)], 30_000
    )
    assert found == [FinalLanes(0, [Lane("b", 40, 40)], []), FinalLanes(1, [], [])]


def test_a_partition_without_a_record_has_nothing_of_any_source() -> None:
    found = final_lanes([sliced(0, {}, 0), sliced(1, {"a": (40, 1000)}, 1000)], 30_000)
    assert found == [FinalLanes(0, [Lane("a", 40, 40)], []), FinalLanes(1, [], [])]


def test_a_source_that_fell_silent_long_before_the_end_has_ended() -> None:
    found = final_lanes(
        [sliced(0, {"a": (50, 9_999), "b": (7, 10_000)}, 40_000), sliced(1, {"a": (60, 40_000)}, 40_000)], 30_000
    )
    # `b` spoke 30 s before the end, which isn't longer than the time-out, and holds back the rest.
    assert found == [FinalLanes(0, [], [Lane("a", 7, 7)]), FinalLanes(1, [Lane("b", 7, 7)], [])]


def test_files_say_nothing_of_when_a_record_was_appended() -> None:
    assert final_lanes([sliced(0, {"a": (50, 0), "b": (7, 0)}, 0)], 30_000) == [FinalLanes(0, [], [])]


def test_where_all_have_ended_a_source_that_a_partition_has_nothing_of_has_ended_too() -> None:
    both = [sliced(0, {"a": (50, 1000)}, 1000), sliced(1, {"a": (40, 1000), "b": (70, 1000)}, 1000)]
    for one in both:
        one.lanes = [msgspec.structs.replace(lane, ended=True) for lane in one.lanes]
    (first, second) = final_lanes(both, 30_000)
    assert first == FinalLanes(0, [Lane("b", 70, 70)], [Lane("b", 70, 70, ended=True), *both[0].lanes])
    assert second == FinalLanes(1, [], [])


def test_one_that_has_ended_is_no_measure_of_how_far_the_others_are() -> None:
    both = [sliced(0, {"a": (50, 1000)}, 1000), sliced(1, {"b": (70, 1000)}, 1000)]
    both[0].lanes = [msgspec.structs.replace(lane, ended=True) for lane in both[0].lanes]
    assert final_lanes(both, 30_000) == [FinalLanes(0, [Lane("b", 70, 70)], []), FinalLanes(1, [Lane("a", 70, 70)], [])]


def test_who_made_room_and_has_not_come_back_holds_nothing_back() -> None:
    one = sliced(0, {"a": (50, 1000)}, 1000)
    one.evicted = [Lane("b", 20, 20)]
    # Its own frames tell of it first: what it sent is not to be taken for passed.
    assert final_lanes([one], 30_000) == [FinalLanes(0, [], [Lane("b", 50, 50)])]
    assert final_lanes([one, sliced(1, {"a": (40, 1000)}, 1000)], 30_000) == [
        FinalLanes(0, [], [Lane("b", 40, 40)]),
        FinalLanes(1, [Lane("b", 40, 40)], []),
    ]

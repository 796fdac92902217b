"""Which lanes hold finals back, and which only the folding."""

from typing import Any

import msgspec
import pytest

from tests.engine.blocks import HOUR_MS
from tests.engine.made_frames import frame, upsert, views
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import NEVER_MS, Frame
from tickertape.stream.engine.finality.finality import Finality
from tickertape.stream.engine.recovery.state import Frontiers

HORIZON_MS = 10_000
LONGEST_MS = 60_000


def heard(*frames: Frame, saved: Views | None = None, settled: bool = True) -> Finality:
    finality = Finality(HORIZON_MS, LONGEST_MS, saved or Views())
    for one in frames:
        finality.apply_frame(one)
        finality.advance(publishing=settled)
    return finality


def final(finality: Finality) -> dict[str, int]:
    return {name: at - HOUR_MS for name, at in finality.final_ms.items() if at != NEVER_MS}


def fold(finality: Finality) -> dict[str, int]:
    return {name: at - HOUR_MS for name, at in finality.fold_ms.items() if at != NEVER_MS}


def test_the_least_lane_decides_by_source_and_over_all() -> None:
    finality = heard(
        frame(1, lanes={"s": 5000, "t": 7000}, partitions=2),
        frame(1, lanes={"s": 6000, "t": 4000}, partitions=2, partition=1),
    )
    assert final(finality) == fold(finality) == {"s": 5000, "t": 4000, "all": 4000}


def test_a_partition_that_exists_and_has_not_spoken_holds_all_back() -> None:
    finality = heard(frame(1, lanes={"s": 5000}, partitions=2), frame(1, partition=1, partitions=2))
    assert final(finality) == {}
    finality.apply_frame(frame(2, lanes={"s": 3000}, partition=1, partitions=2))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 3000, "all": 3000}


def test_a_new_partition_holds_back_what_is_not_final_yet() -> None:
    finality = heard(frame(1, lanes={"s": 5000}), frame(2, lanes={"s": 9000}, partitions=2))
    assert final(finality) == {"s": 5000, "all": 5000}


def test_an_idle_partition_without_lanes_holds_only_the_folding_and_that_to_the_horizon() -> None:
    first = frame(1, lanes={"s": 5000}, partitions=2)
    finality = heard(first, frame(0, partition=1, partitions=2, resting=True))
    assert final(finality) == {"s": 5000, "all": 5000}
    assert fold(finality) == {"s": -5000, "all": -5000}
    finality.apply_frame(frame(1, lanes={"s": 4500}, partition=1, partitions=2))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 5000, "all": 5000}
    assert fold(finality) == {"s": 4500, "all": 4500}


def test_an_idle_lane_holds_only_the_folding_and_that_to_the_horizon() -> None:
    lanes = {"s": 5000, "t": 1000}
    finality = heard(frame(1, lanes=lanes, idle="t"))
    assert final(finality) == {"s": 5000, "t": 1000, "all": 5000}
    assert fold(finality) == {"s": 5000, "t": 1000, "all": 1000}
    finality.apply_frame(frame(2, lanes=lanes | {"s": 50_000}, idle="t"))
    finality.advance(publishing=True)
    # Past the horizon the others decide for it.
    assert final(finality) == {"s": 50_000, "t": 40_000, "all": 50_000}
    assert fold(finality) == {"s": 50_000, "t": 40_000, "all": 40_000}


def test_a_lane_that_wakes_takes_nothing_back_and_holds_again() -> None:
    finality = heard(
        frame(1, lanes={"s": 5000, "t": 1000}, idle="t"),
        frame(2, lanes={"s": 9000, "t": 2000}),
    )
    assert final(finality) == {"s": 9000, "t": 2000, "all": 5000}
    assert fold(finality) == {"s": 9000, "t": 2000, "all": 2000}


def test_a_frontier_never_goes_back_whoever_tells() -> None:
    finality = heard(frame(5, lanes={"s": 5000}), frame(3, lanes={"s": 3000}), frame(6, lanes={"s": 4000}))
    assert finality.frontier_ms(0, "s") == HOUR_MS + 5000
    assert finality.frontier_ms(0, "t") == NEVER_MS
    assert final(finality) == {"s": 5000, "all": 5000}


def test_a_zombies_word_on_idleness_does_not_count() -> None:
    finality = heard(
        frame(5, lanes={"s": 5000, "t": 1000}),
        frame(4, lanes={"s": 5000, "t": 1000}, idle="t"),
    )
    assert final(finality) == {"s": 5000, "t": 1000, "all": 1000}


def test_a_zombies_word_on_a_partition_without_lanes_does_not_count() -> None:
    # The partition holds records now, all of them rejected: its owner, awake, has read them.
    finality = heard(
        frame(1, lanes={"s": 5000}, partitions=2),
        frame(5, partition=1, partitions=2),
        frame(0, partition=1, partitions=2, resting=True),
    )
    assert final(finality) == {}


def test_a_partition_that_wakes_and_still_has_no_lane_holds_back_again() -> None:
    finality = heard(
        frame(1, lanes={"s": 5000}, partitions=2),
        frame(0, partition=1, partitions=2, resting=True),
        frame(1, partition=1, partitions=2),  # what woke it was rejected
        frame(2, lanes={"s": 9000}, partitions=2),
    )
    assert final(finality) == {"s": 5000, "all": 5000}
    assert fold(finality) == {"s": -5000, "all": -5000}


@pytest.mark.parametrize("often", [True, False])
def test_where_all_have_gone_idle_the_least_of_them_decides(often: bool) -> None:
    # A shard that is read late has all of it in one go.
    awake, asleep = frame(1, lanes={"s": 5000, "t": 3000}), frame(1, lanes={"s": 5000, "t": 3000}, idle="st")
    finality = heard(awake, asleep) if often else Finality(HORIZON_MS, LONGEST_MS, Views())
    if not often:
        finality.apply_frame(awake)
        finality.apply_frame(asleep)
        finality.advance(publishing=True)
    assert final(finality) == {"s": 5000, "t": 3000, "all": 3000}


def test_what_a_checkpoint_knew_holds_once_the_shard_is_read_to_there() -> None:
    saved = views(1, folded={"s": 6000, "all": 5500}, final={"s": 8000, "all": 7000})
    finality = heard(frame(1, lanes={"s": 5000}), saved=saved, settled=False)
    assert final(finality) == fold(finality) == {"s": 5000, "all": 5000}
    assert finality.advance(publishing=True)
    assert final(finality) == {"s": 8000, "all": 7000}
    assert fold(finality) == {"s": 6000, "all": 5500}
    assert finality.previous.folded_ms("s") == HOUR_MS + 6000
    assert finality.previous.folded_ms("t") == NEVER_MS


def test_partitions_and_sources_that_a_checkpoint_knew_hold_back_unheard() -> None:
    saved = views(2, folded={"s": 1000, "t": 1000, "all": 1000}, final={"s": 1000, "t": 1000, "all": 1000})
    finality = heard(frame(1, lanes={"s": 5000}), saved=saved)
    assert final(finality) == fold(finality) == {"s": 1000, "t": 1000, "all": 1000}
    finality.apply_frame(frame(1, lanes={"s": 4000}, partition=1))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 4000, "t": 1000, "all": 1000}
    finality.apply_frame(frame(2, lanes={"s": 5000, "t": 3000}))
    finality.apply_frame(frame(2, lanes={"s": 5000, "t": 2000}, partition=1))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 5000, "t": 2000, "all": 2000}


def test_a_checkpoint_knows_all_of_it() -> None:
    finality = heard(
        frame(1, lanes={"s": 50_000, "t": 1000}, idle="t", partitions=2), frame(0, partition=1, resting=True)
    )
    assert finality.views() == views(
        2,
        folded={"s": 40_000, "t": 40_000, "all": 40_000},
        final={"s": 50_000, "t": 40_000, "all": 50_000},
    )


def test_it_tells_whether_anything_moved() -> None:
    finality = heard(frame(1, lanes={"s": 5000}))
    assert not finality.advance(publishing=True)
    finality.apply_frame(frame(1, lanes={"s": 5000}))
    assert not finality.advance(publishing=True)
    finality.apply_frame(frame(2, lanes={"s": 5001}))
    assert finality.advance(publishing=True)


def test_a_source_holds_back_until_every_partition_has_told_of_it() -> None:
    first = frame(1, lanes={"s": 3000}, partition=1, partitions=2)
    finality = heard(first, frame(1, lanes={"s": 2000, "t": 5000}, partitions=2))
    # Partition 1, read behind, may yet have older events of t.
    assert final(finality) == {"s": 2000}
    finality.apply_frame(frame(2, lanes={"s": 3000, "t": 4000}, partition=1, partitions=2))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 2000, "t": 4000, "all": 2000}


def test_where_the_owner_calls_the_rest_idle_a_source_may_be_elsewhere_only() -> None:
    finality = heard(
        frame(1, lanes={"s": 3000}, partition=1, partitions=2, resting=True),
        frame(1, lanes={"s": 20_000, "t": 50_000}, partitions=2),
    )
    assert final(finality) == {"s": 3000, "t": 50_000, "all": 3000}
    assert fold(finality) == {"s": 3000, "t": 40_000, "all": -7000}


def test_a_source_that_is_gone_holds_nothing_back_past_the_horizon() -> None:
    finality = heard(
        frame(1, lanes={"s": 5000, "t": 1000}),
        frame(2, lanes={"s": 11_500, "t": 1000}, idle="t"),
    )
    assert final(finality) == {"s": 11_500, "t": 1500, "all": 11_500}
    assert fold(finality) == {"s": 11_500, "t": 1500, "all": 1500}
    finality.apply_frame(frame(3, lanes={"s": 90_000, "t": 1000}, idle="t"))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 90_000, "t": 80_000, "all": 90_000}
    assert fold(finality) == {"s": 90_000, "t": 80_000, "all": 80_000}


def test_a_source_that_only_a_checkpoint_knows_holds_nothing_back_past_the_horizon() -> None:
    saved = views(1, folded={"s": 1000, "t": 1000, "all": 1000}, final={"s": 1000, "t": 1000, "all": 1000})
    finality = heard(frame(1, lanes={"s": 50_000}, resting=True), saved=saved)
    assert final(finality) == {"s": 50_000, "t": 40_000, "all": 50_000}
    assert fold(finality) == {"s": 50_000, "t": 40_000, "all": 40_000}


def ended(upto: int, lanes: dict[str, int], ends: str, **more: Any) -> Frame:
    """Return a frame of which some lanes have ended."""
    one = frame(upto, lanes=lanes, **more)
    return msgspec.structs.replace(
        one, lanes=[msgspec.structs.replace(lane, ended=lane.source in ends) for lane in one.lanes]
    )


def test_a_lane_that_has_ended_holds_back_neither_finals_nor_folding() -> None:
    finality = heard(ended(1, {"s": 90_000, "t": 1000}, "t"))
    # All of t's windows are final up to the end of its minute; those of all are as far as s.
    assert final(finality) == {"s": 90_000, "t": 80_000, "all": 90_000}
    assert fold(finality) == {"s": 90_000, "t": 80_000, "all": 90_000}


def test_where_all_have_ended_the_longest_window_with_the_newest_slice_is_final() -> None:
    finality = heard(ended(1, {"s": 61_000, "t": 3000}, "st"))
    assert final(finality) == {"s": 120_000, "t": 61_000, "all": 120_000}
    # Folded is what is closed, so who speaks again goes on in the same minute.
    assert fold(finality) == {"s": 61_000, "t": 61_000, "all": 61_000}
    finality.apply_frame(frame(2, lanes={"s": 100_000, "t": 3000}))
    finality.advance(publishing=True)
    assert final(finality)["all"] == 120_000
    finality.apply_frame(ended(3, {"s": 125_000, "t": 3000}, "t"))
    finality.advance(publishing=True)
    assert final(finality)["all"] == 125_000


def test_a_border_that_has_ended_is_the_end_of_its_own_window() -> None:
    assert final(heard(ended(1, {"s": 120_000}, "s"))) == {"s": 120_000, "all": 120_000}


def test_a_partition_in_which_it_has_not_ended_holds_back() -> None:
    first = ended(1, {"s": 61_000}, "s", partitions=2)
    assert final(heard(first)) == {}
    assert final(heard(first, frame(1, lanes={"s": 5000}, partition=1))) == {"s": 5000, "all": 5000}
    assert final(heard(first, ended(1, {"s": 5000}, "s", partition=1))) == {"s": 120_000, "all": 120_000}


def test_a_zombies_word_on_who_has_ended_does_not_count() -> None:
    finality = heard(frame(5, lanes={"s": 61_000}), ended(4, {"s": 60_000}, "s"))
    assert final(finality) == {"s": 61_000, "all": 61_000}


def test_who_has_ended_is_known_after_a_snapshot() -> None:
    first = heard(ended(1, {"s": 61_000, "t": 3000}, "t"))
    again = Finality(HORIZON_MS, LONGEST_MS, Views(), first.frontiers())
    again.apply_frame(frame(1, lanes={"s": 61_000}, partition=1, resting=True))
    again.advance(publishing=True)
    assert final(again)["all"] == 61_000


def test_a_count_that_may_not_be_holds_until_it_is_known_and_then_nothing() -> None:
    finality = Finality(HORIZON_MS, LONGEST_MS, Views())
    finality.limit_partitions(1)
    finality.apply_frame(frame(1, lanes={"s": 5000}, partitions=64))
    finality.advance(publishing=True)
    assert (final(finality), finality.doubtful_partitions) == ({}, 64)
    finality.limit_partitions(1)
    finality.advance(publishing=True)
    assert (final(finality), finality.doubtful_partitions, finality.views().partitions) == (
        {"s": 5000, "all": 5000},
        0,
        1,
    )


def test_a_count_that_comes_true_holds() -> None:
    finality = Finality(HORIZON_MS, LONGEST_MS, Views())
    finality.limit_partitions(1)
    finality.apply_frame(frame(1, lanes={"s": 5000}, partitions=2))
    finality.limit_partitions(2)
    finality.advance(publishing=True)
    assert (final(finality), finality.views().partitions) == ({}, 2)


def test_a_count_that_a_commit_or_a_snapshot_has_is_no_truer() -> None:
    known = heard(frame(1, lanes={"s": 5000}, partitions=64)).frontiers()
    for saved, found in ((Views(64), None), (Views(), known)):
        finality = Finality(HORIZON_MS, LONGEST_MS, saved, found)
        finality.limit_partitions(1)
        finality.apply_frame(frame(1, lanes={"s": 6000}))
        finality.advance(publishing=True)
        assert final(finality) == {"s": 6000, "all": 6000}


def test_who_made_room_holds_back_no_finals_and_the_folding_to_the_horizon() -> None:
    # `s` has sent up to 5000, and was closed there for `u`.
    finality = heard(frame(5, lanes={"s": 3000, "t": 9000}), frame(9, lanes={"t": 9000, "u": 8000}, evicted=5000))
    # Of `s` all windows are final that begin before 5000, the longest too: it speaks nowhere.
    assert final(finality) == {"s": 60_000, "t": 9000, "u": 8000, "all": 8000}
    assert fold(finality) == {"s": 5000, "t": 9000, "u": 8000, "all": 5000}
    finality.apply_frame(frame(20, lanes={"t": 40_000, "u": 40_000}, evicted=5000))
    finality.advance(publishing=True)
    assert final(finality) == {"s": 60_000, "t": 40_000, "u": 40_000, "all": 40_000}
    assert fold(finality) == {"s": 30_000, "t": 40_000, "u": 40_000, "all": 30_000}


def test_of_who_made_room_all_is_closed_up_to_where_the_next_begins() -> None:
    finality = heard(frame(5, lanes={"s": 3000, "t": 9000}), frame(9, lanes={"t": 4000, "u": 8000}, evicted=5000))
    assert [finality.frontier_ms(0, source) - HOUR_MS for source in ("s", "new", "u")] == [5000, 5000, 8000]
    # One that has been slow all along is where it is.
    assert finality.frontier_ms(0, "t") == HOUR_MS + 9000
    assert finality.frontier_ms(1, "s") == NEVER_MS


def test_who_spoke_and_made_room_since_the_frame_before_is_known_too() -> None:
    finality = heard(frame(9, upsert(4000, 1.0), lanes={"t": 70_000}, evicted=5000))
    assert final(finality) == {"s": 60_000, "t": 70_000, "all": 70_000}


def test_who_made_room_in_one_partition_goes_on_in_another() -> None:
    lanes = {"s": 4000, "t": 9000}
    finality = heard(
        frame(5, lanes=lanes, partitions=2),
        frame(5, lanes=lanes, partitions=2, partition=1),
        frame(9, lanes={"t": 9000}, partitions=2, evicted=5000),
    )
    assert final(finality) == {"s": 4000, "t": 9000, "all": 4000}


def test_a_zombies_word_on_who_has_a_lane_does_not_count() -> None:
    now = frame(9, lanes={"t": 9000}, evicted=5000)
    finality = heard(frame(5, lanes={"s": 3000, "t": 9000}), now, frame(6, lanes={"s": 3000, "t": 9000}))
    assert final(finality) == {"s": 60_000, "t": 9000, "all": 9000}


def test_who_speaks_nowhere_and_has_no_windows_is_forgotten_and_begins_behind() -> None:
    finality = heard(frame(5, lanes={"s": 3000, "t": 9000}), frame(9, lanes={"t": 40_000}, evicted=5000))
    assert fold(finality) == {"s": 30_000, "t": 40_000, "all": 30_000}
    finality.forget({"s"})
    assert finality.views().folded.keys() == {"s", "t", "all"}
    finality.forget({"t", "all"})
    found = finality.views()
    assert found.folded.keys() == found.final.keys() == {"t", "all"}
    assert found.forgotten_ms == HOUR_MS + 30_000
    # It is back, on a partition that has heard nothing of it: what it had before is closed, also for the next owner.
    back = frame(3, lanes={"s": 1000}, partition=1, partitions=2)
    for one in (finality, Finality(HORIZON_MS, LONGEST_MS, found)):
        one.apply_frame(back)
        assert one.closed_ms("s") == HOUR_MS + 30_000
        assert one.closed_ms("new") == NEVER_MS


def test_nobody_is_forgotten_while_a_partition_has_not_spoken_or_a_lane_is_left() -> None:
    lanes = {"s": 3000, "t": 9000}
    gone = frame(9, lanes={"t": 40_000}, partitions=2, evicted=5000)
    finality = heard(frame(5, lanes=lanes, partitions=2), gone)
    finality.forget(set())
    assert finality.views().folded.keys() == {"s", "t", "all"}
    finality = heard(frame(5, lanes=lanes, partitions=2, partition=1), gone)
    finality.forget(set())
    assert finality.views().folded.keys() == {"s", "t", "all"}


def test_a_snapshot_knows_who_made_room_and_who_was_forgotten() -> None:
    first = heard(frame(5, lanes={"s": 3000, "t": 9000, "u": 1}), frame(9, lanes={"t": 40_000}, evicted=5000))
    first.forget({"u"})
    known = msgspec.msgpack.decode(msgspec.msgpack.encode(first.frontiers()), type=Frontiers)
    again = Finality(HORIZON_MS, LONGEST_MS, Views(), known)
    assert again.frontier_ms(0, "u") == HOUR_MS + 5000
    again.apply_frame(frame(10, lanes={"s": 1000, "t": 40_000}, evicted=5000))
    assert again.closed_ms("s") == HOUR_MS + 30_000

"""Slices past the horizon: told of with how much the results miss, once, and never where they miss nothing."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS, Log
from tests.engine.made_frames import Shard, frame, upsert
from tests.engine.oracle import judge
from tests.engine.windows.test_windows import shards
from tickertape.schemas.frame import Frame
from tickertape.schemas.refused import LateSlice

HORIZON_MS = 5000


def told(shard: Shard) -> dict[tuple[int, str, int], tuple[int, int, list[str]]]:
    """Publish; return by partition, symbol and start what is told: events, by how much, and whose results miss them."""
    shard.flush()
    return {
        (one.input_partition, one.symbol, one.time_ms - HOUR_MS): (one.events, one.late_by_ms, one.missing_in)
        for one in shard.windows.late()
    }


def asleep(*upserts: tuple[object, object]) -> Shard:
    """Partition 1 has slices and falls silent; partition 0 goes on to 9000, so results are closed up to 4000."""
    shard = Shard(horizon_ms=HORIZON_MS)
    shard.apply_frames(frame(1, *upserts, lanes={"s": -500}, partition=1, partitions=2, idle="s"))  # type: ignore[arg-type]  # as `upsert` makes them
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 9000}, partitions=2))
    assert told(shard) == {}
    return shard


def test_a_slice_past_the_horizon_is_told_of_with_its_place() -> None:
    shard = asleep()
    shard.says(
        frame(2, upsert(1000, 2.0, 4.0), upsert(4000, 8.0), lanes={"s": 3000}, partition=1, partitions=2),
    )
    # It ends at 2000; the one at 4000 ends past what is closed, and counts.
    assert shard.windows.late() == [
        LateSlice(
            topic="slices",
            partition=0,
            offset=2,
            source="s",
            symbol="A",
            time_ms=HOUR_MS + 1000,
            frontier_ms=HOUR_MS + 4000,
            late_by_ms=2000,
            input_topic="trades",
            input_partition=1,
            events=2,
            missing_in=["s", "all"],
        )
    ]
    assert shard.windows.late() == []
    assert shard.holds["s", "1s", 4000, "A"].count == 1


def test_what_came_before_the_horizon_passed_it_is_not_missing() -> None:
    shard = asleep(upsert(1000, 2.0, 4.0))
    assert shard.holds["all", "1s", 1000, "A"].count == 2
    # The lane wakes: the slice goes on from two events to five.
    shard.apply_frames(frame(5, upsert(1000, 2.0, 4.0, 1.0, 1.0, 1.0), lanes={"s": -200}, partition=1, partitions=2))
    assert told(shard) == {(1, "A", 1000): (3, 2000, ["s", "all"])}
    # It is told of again as it grows, with all that is missing.
    shard.apply_frames(
        frame(6, upsert(1000, 2.0, 4.0, 1.0, 1.0, 1.0, 1.0), lanes={"s": -200}, partition=1, partitions=2)
    )
    assert told(shard) == {(1, "A", 1000): (4, 2000, ["s", "all"])}


def test_a_slice_sent_again_without_news_is_no_loss() -> None:
    # Its owner changes while the lane is silent: what is open is published once more.
    shard = asleep(upsert(1000, 2.0, 4.0))
    shard.apply_frames(frame(1, upsert(1000, 2.0, 4.0), lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    assert told(shard) == {}


def test_a_zombies_slice_is_no_loss() -> None:
    shard = Shard(horizon_ms=HORIZON_MS)
    shard.says(frame(3, upsert(0, 1.0, 2.0, 4.0), lanes={"s": 1000}))
    shard.apply_frames(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0}))  # it froze before the frontier passed
    assert told(shard) == {}


def test_the_owner_after_tells_nothing_again() -> None:
    shard = asleep()
    # C keeps the commit at its beginning.
    shard.apply_frames(frame(2, upsert(9000, 1.0, symbol="C"), lanes={"s": 9000}, partitions=2))
    woken = frame(2, upsert(1000, 2.0), lanes={"s": -200}, partition=1, partitions=2)
    shard.apply_frames(woken)
    assert told(shard) == {(1, "A", 1000): (1, 2000, ["s", "all"])}
    shard.restart()
    assert told(shard) == {}
    # Nor when the lane's new owner publishes what is open; but when it goes on.
    shard.apply_frames(woken)
    assert told(shard) == {}
    shard.apply_frames(frame(3, upsert(1000, 2.0, 4.0), lanes={"s": -200}, partition=1, partitions=2))
    assert told(shard) == {(1, "A", 1000): (1, 2000, ["s", "all"])}


def test_slices_published_again_after_all_workers_died_are_no_loss() -> None:
    # Nothing is open, so the next owner of the shard reads no frame again and knows no lane.
    shard = Shard(horizon_ms=HORIZON_MS)
    shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 3000}))
    shard.restart()
    # The next of the partition has an older commit, in which the slice was open.
    shard.apply_frames(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 3000}))
    assert told(shard) == {}
    # A partition that nobody knew may bring what is older: that is news.
    shard.apply_frames(frame(1, upsert(0, 8.0), lanes={"s": 0}, partition=1, partitions=2))
    assert told(shard) == {(1, "A", 0): (1, 2000, ["s", "all"])}


def test_a_partition_that_was_heard_of_after_the_folding_may_bring_what_is_older_to_the_next_owner_too() -> None:
    shard = Shard(horizon_ms=HORIZON_MS)
    shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 3000}))
    # It is added, and has said nothing, when the owner commits and goes.
    shard.says(frame(3, lanes={"s": 3500}, partitions=2))
    shard.restart()
    # What lies there is older than what was folded without it: that is told, and not taken for had.
    shard.apply_frames(frame(1, upsert(0, 8.0), upsert(4000, 1.0), lanes={"s": 0}, partition=1, partitions=2))
    assert told(shard) == {(1, "A", 0): (1, 2000, ["s", "all"])}
    # Once its lanes have passed that, the commit need not know.
    shard.says(frame(2, lanes={"s": 6000}, partition=1, partitions=2))
    assert shard.windows.checkpoint(0, 9)[1].added == []
    shard.restart()
    # And what was folded with it is had, as ever.
    shard.apply_frames(frame(4, upsert(4000, 1.0), lanes={"s": 5000}, partition=1, partitions=2))
    assert told(shard) == {}


def test_a_source_that_joins_with_older_events_is_missing_in_the_results_of_all_only() -> None:
    shard = Shard()
    shard.says(frame(1, upsert(8000, 1.0), lanes={"s": 9000}))
    shard.apply_frames(frame(2, upsert(2000, 1.0, 2.0, source="t"), lanes={"s": 9000, "t": 1000}))
    assert told(shard) == {(0, "A", 2000): (2, 6000, ["all"])}
    assert shard.holds["t", "1s", 2000, "A"].count == 2


def test_where_only_the_sources_results_are_closed_those_of_all_go_on() -> None:
    # t is catching up, so the results of all wait; those of s don't.
    shard = Shard(horizon_ms=HORIZON_MS)
    idle = {"lanes": {"s": -500, "t": 500}, "partition": 1, "partitions": 2, "idle": "s"}
    shard.apply_frames(frame(1, upsert(1000, 2.0, 4.0), **idle))  # type: ignore[arg-type]  # as named
    shard.says(frame(1, lanes={"s": 9000, "t": 500}, partitions=2))
    shard.apply_frames(frame(2, upsert(1000, 2.0, 4.0, 1.0), **idle))  # type: ignore[arg-type]  # as named
    assert told(shard) == {(1, "A", 1000): (1, 2000, ["s"])}
    assert shard.holds["s", "1s", 1000, "A"].count == 2
    assert shard.holds["all", "1s", 1000, "A"].count == 3


def test_each_result_is_told_of_with_what_it_lacks() -> None:
    """All sources wait for t, so their results take an event that those of s, whose lane is idle, no longer do."""
    shard = Shard(horizon_ms=0)
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 9000, "t": 500}, partitions=2))
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 500, "t": 500}, partition=1, partitions=2, idle="st"))
    assert shard.windows.late() == []
    # s is closed up to 9000, all sources up to 500.
    late = {"s": 1500, "t": 500}
    shard.says(frame(2, upsert(1000, 2.0), lanes=late, partition=1, partitions=2, idle="st"))
    assert [(one.events, one.missing_in) for one in shard.windows.late()] == [(1, ["s"])]
    # Now all sources are closed too.
    shard.says(frame(2, lanes={"s": 9000, "t": 9000}, partitions=2))
    shard.says(frame(3, upsert(1000, 2.0, 4.0, 8.0), lanes=late, partition=1, partitions=2, idle="st"))
    assert [(one.events, one.missing_in) for one in shard.windows.late()] == [(3, ["s"]), (2, ["all"])]
    assert shard.holds["all", "1s", 1000, "A"].count == 1
    assert ("s", "1s", 1000, "A") not in shard.holds


def test_what_no_lane_can_add_to_is_forgotten() -> None:
    shard = asleep(upsert(1000, 2.0, 4.0))
    assert len(shard.windows._past_horizon._included) == 1
    shard.says(frame(2, lanes={"s": 2000}, partition=1, partitions=2))
    assert told(shard) == {}
    assert len(shard.windows._past_horizon._included) == 0


def counts(partitions: list[Log]) -> Counter[tuple[str, int, str]]:
    """Find the true number of events of all sources by slice."""
    found: Counter[tuple[str, int, str]] = Counter()
    for log in partitions:
        for (_, symbol, start), row in judge(log).slices.items():
            found["1s", start, symbol] += row.count
    return found


def note(late: dict[tuple[int, str, str, int], int], shard: Shard) -> None:
    """Note how many events of each slice the results of all sources are told to lack."""
    for one in shard.windows.late():
        if "all" in one.missing_in:
            late[one.input_partition, one.source, one.symbol, one.time_ms] = one.events


@settings(max_examples=150, deadline=None)
@given(shards(), st.sampled_from([0, 1000, 4000]), st.lists(st.booleans(), min_size=120, max_size=120))
def test_what_results_miss_is_exactly_what_is_told(
    drawn: tuple[list[Log], list[Frame]], horizon_ms: int, often: list[bool]
) -> None:
    partitions, frames = drawn
    shard = Shard(horizon_ms=horizon_ms)
    late: dict[tuple[int, str, str, int], int] = {}
    for one, now in zip(frames, often, strict=False):
        shard.apply_frames(one)
        if now:
            shard.flush()
            note(late, shard)
    for one in frames[len(often) :]:
        shard.apply_frames(one)
    shard.flush()
    note(late, shard)
    have = Counter(
        {
            (resolution, start, symbol): window.count
            for (source, resolution, start, symbol), window in shard.holds.items()
            if (source, resolution) == ("all", "1s")
        }
    )
    missing = counts(partitions) - have
    reported: Counter[tuple[str, int, str]] = Counter()
    for (_, _, symbol, time_ms), events in late.items():
        reported["1s", time_ms - HOUR_MS, symbol] += events
    assert have - counts(partitions) == Counter()
    assert reported == missing

"""Slices merged into windows: provisional, final, corrected."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS, Log, Slice, slicer
from tests.engine.logs import logs
from tests.engine.made_frames import Identity, Shard, Window, frame, owned, upsert, views
from tests.engine.oracle import judge
from tickertape.schemas.frame import Frame
from tickertape.stream.engine.slices.slicer import Idle

S1, S3 = ("s", "1s", 0, "A"), ("s", "3s", 0, "A")
ALL1, ALL3 = ("all", "1s", 0, "A"), ("all", "3s", 0, "A")


def test_a_window_is_provisional_until_the_frontier_reaches_its_end() -> None:
    shard = Shard()
    assert shard.says(frame(2, upsert(0, 1.5, 2.0), lanes={"s": -1000})) == dict.fromkeys(
        (S1, S3, ALL1, ALL3), (2, 3.5, False)
    )
    assert shard.says(frame(3, upsert(0, 1.5, 2.0, 4.0), lanes={"s": 999})) == dict.fromkeys(
        (S1, S3, ALL1, ALL3), (3, 7.5, False)
    )
    # It ends at 1000.
    assert shard.says(frame(4, lanes={"s": 1000})) == dict.fromkeys((S1, ALL1), (3, 7.5, True))
    assert shard.says(frame(5, upsert(2000, 8.0), lanes={"s": 2999})) == {
        ("s", "1s", 2000, "A"): (1, 8.0, False),
        ("all", "1s", 2000, "A"): (1, 8.0, False),
        S3: (4, 15.5, False),
        ALL3: (4, 15.5, False),
    }
    assert shard.says(frame(6, lanes={"s": 3000})) == {
        ("s", "1s", 2000, "A"): (1, 8.0, True),
        ("all", "1s", 2000, "A"): (1, 8.0, True),
        S3: (4, 15.5, True),
        ALL3: (4, 15.5, True),
    }
    assert len(shard.windows) == 0
    assert shard.flush() == {}


def test_a_frames_frontiers_cover_its_own_upserts() -> None:
    shard = Shard()
    assert shard.says(frame(1, upsert(0, 1.5), lanes={"s": 3000})) == dict.fromkeys(
        (S1, S3, ALL1, ALL3), (1, 1.5, True)
    )
    # What its lane's frontier has passed is whole: this is a repetition, not a loss.
    assert shard.says(frame(2, upsert(0, 1.5), lanes={"s": 3000})) == {}
    assert shard.windows.late() == []


def test_the_highest_stamp_holds() -> None:
    shard = Shard()
    first = shard.says(frame(3, upsert(0, 1.0, 2.0), lanes={"s": 0}), frame(2, upsert(0, 1.0)))
    assert first[S1] == (2, 3.0, False)
    assert shard.says(frame(1, upsert(0, 9.0)), frame(3, upsert(0, 1.0, 2.0))) == {}
    assert shard.says(frame(4, upsert(0, 1.0, 2.0, 4.0)))[S1] == (3, 7.0, False)


def test_partitions_and_sources_of_a_window_add_up() -> None:
    shard = Shard()
    lanes = {"s": 0, "t": 0}
    shard.apply_frames(
        # Ids 1, 2 and 5, 6 of s: two are missing. Ids 1 to 3 and 8 of t: four.
        frame(1, upsert(0, 1.0, 2.0), upsert(0, 4.0, 4.0, 4.0, source="t"), lanes=lanes, partitions=2),
        frame(1, upsert(0, 8.0, 8.0, first_id=5), partition=1, lanes=lanes, partitions=2),
        frame(2, upsert(2000, 16.0, source="t", first_id=8), partition=1, lanes=lanes, partitions=2),
    )
    assert shard.flush() == {
        S1: (4, 19.0, False),
        S3: (4, 19.0, False),
        ("t", "1s", 0, "A"): (3, 12.0, False),
        ("t", "1s", 2000, "A"): (1, 16.0, False),
        ("t", "3s", 0, "A"): (4, 28.0, False),
        ALL1: (7, 31.0, False),
        ("all", "1s", 2000, "A"): (1, 16.0, False),
        ALL3: (8, 47.0, False),
    }
    missing = {key: window.missing for key, window in shard.holds.items() if window.resolution == "3s"}
    assert missing == {S3: 2, ("t", "3s", 0, "A"): 4, ALL3: 6}


def test_shares_of_a_slice_are_summed_by_partition_and_then_by_source() -> None:
    # 1e16 takes in a 2, but not a 1 and another: the sum tells the order, and they come in another.
    lanes = dict.fromkeys("rst", 0)
    shard = Shard()
    shard.apply_frames(
        frame(1, upsert(0, 1e16), partition=1, lanes=lanes, partitions=2),
        frame(1, upsert(0, 1.0, source="t"), upsert(0, 1.0), lanes=lanes, partitions=2),
    )
    assert shard.flush()[ALL1][1] == 1e16 + 2
    shard.apply_frames(
        frame(2, upsert(2000, 1e16, source="t"), lanes=lanes, partitions=2),
        frame(3, upsert(2000, 1.0, source="s"), upsert(2000, 1.0, source="r"), lanes=lanes, partitions=2),
    )
    assert shard.flush()["all", "1s", 2000, "A"][1] == 1e16 + 2


def test_a_partition_that_has_not_spoken_holds_finals_back() -> None:
    shard = Shard()
    first = shard.says(frame(1, upsert(0, 1.0), lanes={"s": 9000}, partitions=2))
    assert first[S1] == (1, 1.0, False)
    second = shard.says(frame(1, upsert(0, 2.0, first_id=2), lanes={"s": 9000}, partition=1, partitions=2))
    assert second[S1] == (2, 3.0, True)


def test_a_lane_that_was_idle_corrects_finals_with_a_higher_revision() -> None:
    shard = Shard()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2))
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    assert shard.says(frame(2, upsert(0, 1.0), lanes={"s": 1000}, partitions=2))[S1] == (1, 1.0, True)
    # It wakes with older events, among them a window that had none.
    late = shard.says(
        frame(2, upsert(0, 2.0, first_id=2), upsert(0, 4.0, symbol="B"), lanes={"s": -200}, partition=1, partitions=2)
    )
    assert late[S1] == (2, 3.0, True)
    assert late["s", "1s", 0, "B"] == (1, 4.0, True)
    assert late[S3] == (2, 3.0, False)
    assert shard.windows.late() == []
    shard.says(*(frame(9, lanes={"s": 3000}, partition=p, partitions=2) for p in range(2)))
    assert shard.holds[S3].final
    assert len(shard.windows) == 0


def test_past_the_horizon_nothing_is_corrected() -> None:
    shard = Shard(horizon_ms=5000)
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    shard.says(frame(2, upsert(0, 1.0), lanes={"s": 6000}, partitions=2))
    # The folding is at 1000, 5 s behind.
    late = shard.says(
        frame(2, upsert(0, 2.0), upsert(1000, 4.0), lanes={"s": -200}, partition=1, partitions=2),
    )
    assert {key: came[:2] for key, came in late.items()} == {
        ("s", "1s", 1000, "A"): (1, 4.0),
        ("all", "1s", 1000, "A"): (1, 4.0),
        S3: (2, 5.0),
        ALL3: (2, 5.0),
    }
    assert shard.holds[S1].total == 1.0


def test_a_window_that_first_shows_behind_the_final_frontier_is_final_at_once() -> None:
    shard = Shard(horizon_ms=5000)
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    shard.says(frame(2, lanes={"s": 6000}, partitions=2))
    # No frontier moves by it.
    came = shard.says(frame(2, upsert(1000, 4.0), lanes={"s": -200}, partition=1, partitions=2))
    assert came["s", "1s", 1000, "A"] == (1, 4.0, True)
    # So is one that ends just there.
    came = shard.says(frame(3, upsert(5000, 8.0), lanes={"s": -200}, partition=1, partitions=2))
    assert came["s", "1s", 5000, "A"] == (1, 8.0, True)


def test_a_source_left_behind_has_no_share_in_later_windows_of_all() -> None:
    shard = Shard(horizon_ms=5000)
    gaps = upsert(0, 1.0, source="t"), upsert(1000, 1.0, first_id=9, source="t")
    shard.says(frame(1, *gaps, lanes={"s": 0, "t": 500}))
    shard.says(frame(2, upsert(0, 1.0), lanes={"s": 9000, "t": 500}, idle="t"))
    assert shard.holds["all", "3s", 0, "A"].missing == 7
    # The windows of all are gone, and their rows are used again; those of t are still open.
    shard.says(
        frame(3, *(upsert(start, 1.0) for start in range(12_000, 30_000, 3000)), lanes={"s": 9000, "t": 500}, idle="t")
    )
    later = [window for (source, _, start, _), window in shard.holds.items() if source == "all" and start >= 12_000]
    assert len(later) == 12
    assert {window.missing for window in later} == {0}


def test_a_source_that_is_gone_does_not_hold_the_commit_back_for_ever() -> None:
    shard = Shard(horizon_ms=5000)
    shard.says(frame(1, upsert(0, 1.0, source="t"), lanes={"s": 0, "t": 1000}))
    for upto in range(2, 10):
        at = 10_000 * upto
        shard.says(frame(upto, upsert(at, 1.0), lanes={"s": at + 1000, "t": 1000}, idle="t"))
    offset, _ = shard.windows.checkpoint(0, len(shard.log))
    assert offset > 5
    assert shard.holds["t", "3s", 0, "A"].final


@pytest.mark.parametrize("other", [{"epoch": "2000-5000"}, {"topic": "quotes"}])
def test_frames_of_another_epoch_or_topic_do_not_mix(other: dict[str, str]) -> None:
    shard = Shard()
    shard.apply_frames(frame(9, upsert(0, 9.0), lanes={"s": 9000}, **other))  # type: ignore[arg-type]  # both are text
    assert shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}))[S1] == (1, 1.0, False)


def test_windows_that_retention_took_records_of_are_incomplete() -> None:
    shard = Shard()
    shard.apply_frames(
        frame(1, upsert(0, 1.0), upsert(1000, 1.0), upsert(2000, 1.0), upsert(3000, 1.0), lanes={"s": 0}),
        frame(2, lanes={"s": 0}, incomplete=(1000, 2000)),
        frame(3, lanes={"s": 6000}),
    )
    shard.flush()
    marked = {key for key, window in shard.holds.items() if window.incomplete}
    assert marked == {("s", "1s", 1000, "A"), ("all", "1s", 1000, "A"), S3, ALL3}
    assert all(window.final for window in shard.holds.values())


def test_nothing_is_published_before_all_is_known_again() -> None:
    shard = Shard()
    shard.windows = owned(views(1, {"s": 1000, "all": 1000}, {"s": 1000, "all": 1000}), settled=False)
    assert shard.says(frame(5, upsert(0, 1.0), upsert(1000, 2.0), lanes={"s": 2000})) == {}
    shard.windows.start_publishing(0)
    came = shard.flush()
    # The 1 s window at 0 is done; the 3 s window takes its slice again.
    assert came == {
        ("s", "1s", 1000, "A"): (1, 2.0, True),
        ("all", "1s", 1000, "A"): (1, 2.0, True),
        S3: (2, 3.0, False),
        ALL3: (2, 3.0, False),
    }


def test_a_commit_goes_back_to_the_oldest_frame_that_an_open_window_needs() -> None:
    shard = Shard()
    shard.says(
        frame(1, upsert(0, 1.0), lanes={"s": -2000}),  # 0: superseded by the next
        frame(2, upsert(0, 1.0, 2.0), lanes={"s": 1000}),  # 1: the 3 s window needs it
        frame(3, upsert(2000, 4.0), lanes={"s": 1000}),
    )
    at_1000, at_3000 = dict.fromkeys(("s", "all"), 1000), dict.fromkeys(("s", "all"), 3000)
    assert shard.windows.checkpoint(0, 3) == (1, views(1, at_1000, at_1000))
    shard.says(frame(4, lanes={"s": 3000}))
    assert shard.windows.checkpoint(0, 4) == (4, views(1, at_3000, at_3000))


def test_the_next_owner_goes_on_from_a_commit() -> None:
    shard = Shard()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 1000}))
    shard.restart()
    shard.says(frame(2, upsert(1000, 2.0), lanes={"s": 3000}))
    assert shard.holds[S3] == Window(
        symbol="A",
        source="s",
        resolution="3s",
        start_ms=HOUR_MS,
        count=2,
        total=3.0,
        last=2.0,
        missing=-1,
        final=True,
        revision=2,
        incomplete=False,
    )


def test_a_source_that_is_new_to_a_partition_waits_for_the_others() -> None:
    # t is known from partition 0; whether partition 1, which is read behind it, has older events of t is not known yet.
    shard = Shard()
    shard.says(frame(1, lanes={"s": 0}, partition=1, partitions=2))
    first = shard.says(frame(1, upsert(0, 1.0, source="t"), lanes={"s": 0, "t": 1000}, partitions=2))
    assert first["t", "1s", 0, "A"] == (1, 1.0, False)
    shard.says(frame(2, upsert(0, 2.0, source="t", first_id=2), lanes={"s": 0, "t": 1000}, partition=1, partitions=2))
    assert shard.windows.late() == []
    assert shard.holds["t", "1s", 0, "A"].count == 2


def windows_of(partitions: list[Log]) -> dict[Identity, tuple[int, float, float]]:
    """Find (count, total, last) of every window in plain Python, in the canonical order: slice, partition, source."""
    slices = sorted(
        (start, partition, source, symbol, row)
        for partition, log in enumerate(partitions)
        for (source, symbol, start), row in judge(log).slices.items()
    )
    found: dict[Identity, tuple[int, float, float]] = {}
    last: dict[Identity, tuple[int, int]] = {}
    for resolution, width_ms in (("1s", 1000), ("3s", 3000)):
        for name in ("s", "t", "all"):
            # The shares of one slice of time first, then these in time order.
            shares: dict[tuple[str, int], list[Slice]] = {}
            for start, _, source, symbol, row in slices:
                if name in (source, "all"):
                    shares.setdefault((symbol, start), []).append(row)
            for (symbol, start), rows in shares.items():
                key = name, resolution, start - start % width_ms, symbol
                count, total, price = found.get(key, (0, 0.0, 0.0))
                of_slice = 0.0
                for row in rows:
                    of_slice += row.total
                    if (row.last_ms, row.last_id) >= last.get(key, (0, 0)):
                        last[key], price = (row.last_ms, row.last_id), row.last
                found[key] = count + sum(row.count for row in rows), total + of_slice, price
    return found


@st.composite
def shards(draw: st.DrawFn) -> tuple[list[Log], list[Frame]]:
    """Draw two partitions, and the frames that their owners make of them, interleaved, some of them by zombies too."""
    partitions = [draw(logs(partition, closed=True)) for partition in range(2)]
    queues: list[list[Frame]] = []
    for log in partitions:
        owner = slicer(log, partitions=2)
        queue = []
        for block in log.blocks(draw(st.sets(st.integers(1, 50), max_size=8))):
            owner.fold(block)
            idle = Idle(frozenset(draw(st.sampled_from(["", "", "s", "st"]))), rest=draw(st.integers(0, 4)) == 0)
            queue += [one for _, one in owner.flush(lambda _: 0, 1, everyone=True, idle=idle)]
        queues.append(queue)
    # Every partition speaks on, once a second.
    lasts = [queue[-1] for queue in queues]
    frames: list[Frame] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        frames.append(queue.pop(0))
        if draw(st.integers(0, 5)) == 0:
            frames.append(draw(st.sampled_from(frames)))
    return partitions, frames + lasts


@settings(max_examples=120)
@given(shards(), st.data())
def test_owners_that_come_and_go_publish_what_plain_python_finds(
    drawn: tuple[list[Log], list[Frame]], data: st.DataObject
) -> None:
    partitions, frames = drawn
    shard = Shard()
    for one in frames:
        shard.apply_frames(one)
        match data.draw(st.sampled_from(["go on", "flush", "flush", "restart"])):
            case "flush":
                shard.flush()
            case "restart":
                shard.restart()
    shard.flush()
    # What a source that joins late is missing in is told: `test_past_horizon` has that.
    assume(not shard.all_late())
    found = {key: (window.count, window.total, window.last) for key, window in shard.holds.items()}
    assert found == windows_of(partitions)
    assert all(window.final for window in shard.holds.values())
    assert len(shard.windows) == 0


def test_who_made_room_is_forgotten_once_its_windows_are_and_comes_back_behind_them() -> None:
    shard = Shard(horizon_ms=10_000)
    shard.apply_frames(frame(1, upsert(0, 1.0), upsert(0, 2.0, source="t"), lanes={"s": 0, "t": 0}))
    # `u` has the room of `s`, which was closed at 1000.
    came = shard.says(frame(2, lanes={"t": 5000, "u": 5000}, evicted=1000))
    assert came["s", "3s", 0, "A"] == (1, 1.0, True)
    # The windows of all can be corrected until the horizon has passed.
    assert "s" in shard.windows.checkpoint(0, 2)[1].folded
    shard.says(frame(3, lanes={"t": 13_000, "u": 13_000}, evicted=1000))
    views = shard.windows.checkpoint(0, 3)[1]
    assert views.folded.keys() == views.final.keys() == {"t", "u", "all"}
    assert views.forgotten_ms == HOUR_MS + 3000
    shard.restart()
    # Back on a partition that never had it: it adds to no window that is published and gone, and goes on behind.
    back = frame(1, upsert(2000, 9.0), lanes={"s": 0}, partition=1, partitions=2)
    assert shard.says(back) == {}
    assert [(late.source, late.time_ms - HOUR_MS, late.missing_in) for late in shard.windows.late()] == [
        ("s", 2000, ["s", "all"])
    ]
    assert shard.says(frame(2, upsert(13_000, 9.0), lanes={"s": 0}, partition=1, partitions=2)) == {
        ("s", "1s", 13_000, "A"): (1, 9.0, False),
        ("s", "3s", 12_000, "A"): (1, 9.0, False),
        ("all", "1s", 13_000, "A"): (1, 9.0, False),
        ("all", "3s", 12_000, "A"): (1, 9.0, False),
    }


def test_a_shard_knows_no_more_sources_than_have_lanes_or_windows() -> None:
    shard = Shard(horizon_ms=10_000)
    for number in range(300):
        source, start = f"s{number}", 20_000 * number
        shard.says(
            frame(2 * number, upsert(start, 1.0, source=source), lanes={source: start}, evicted=start - 19_000),
            frame(2 * number + 1, lanes={source: start + 18_000}, evicted=start - 19_000),
        )
    views = shard.windows.checkpoint(0, 600)[1]
    assert views.folded.keys() == {"s299", "all"}
    assert len({identity for identity in shard.holds if identity[:2] == ("all", "1s")}) == 300
    assert all(window.final and window.count == 1 for key, window in shard.holds.items() if key[0] != "s299")

"""Each law, broken once: the verdict tells of it."""

import json
from pathlib import Path
from typing import Any

import msgspec

from tickertape.schemas.checkpoint import SliceCheckpoint, WindowCheckpoint, to_metadata
from tickertape.schemas.frame import Frame, Tallies
from tickertape.stream.chaos.oracle import verdict
from tickertape.stream.chaos.oracle.feed import Plan, record
from tickertape.stream.chaos.oracle.logs import Commit, Sent
from tickertape.stream.chaos.oracle.truth import Entry, Truth
from tickertape.stream.kafka.admin.topics import PartitionState, TopicState

KEY = ("A-USD", "x", "1s", 0)
BAR: dict[str, Any] = {"volume": 1.5, "count": 2, "final": True, "revision": 2}


def held(*bars: dict[str, Any]) -> verdict.Held:
    holder = verdict.Holder()
    for bar in bars:
        whole = dict(zip(("symbol", "source", "resolution", "start_ms"), KEY, strict=True)) | bar
        holder.add(b"A-USD|x|1s|0", json.dumps(whole).encode())
    return holder.held


def test_bars_that_are_true_are_not_told_of() -> None:
    early = BAR | {"count": 1, "revision": 1, "final": False}
    assert list(verdict.of_bars(held(early, BAR, early, BAR), {KEY: BAR | {"volume": 1.5 + 1e-13}})) == []


def test_a_bar_that_is_wrong_missing_or_too_many() -> None:
    assert list(verdict.of_bars(held(BAR | {"count": 3}), {KEY: BAR})) == ["A-USD|x|1s|0: count is 3, not 2"]
    assert list(verdict.of_bars(held(), {KEY: BAR})) == ["A-USD|x|1s|0: no bar, though 2 trades belong to it"]
    assert list(verdict.of_bars(held(BAR), {})) == ["A-USD|x|1s|0: a bar, though no trade belongs to it"]


def test_a_final_that_changes_though_it_ends_up_true() -> None:
    wrong = BAR | {"count": 1, "revision": 1}
    assert list(verdict.of_bars(held(wrong, BAR), {KEY: BAR})) == ["A-USD|x|1s|0: two of its final records differ"]


def test_provisional_bars_that_contradict_each_other_or_the_final_one() -> None:
    one, other = BAR | {"final": False, "revision": 1}, BAR | {"final": False, "revision": 1, "volume": 9.0}
    assert list(verdict.of_provisional(held(one, one, BAR), [])) == []
    told = ["A-USD|x|1s|0: two of its provisional records have the same revision and differ"]
    assert list(verdict.of_provisional(held(one, other, BAR), [0, 1000])) == told
    # Within it, trades begin to go to another partition.
    assert list(verdict.of_provisional(held(one, other, BAR), [1])) == []
    above = BAR | {"final": False, "revision": 3}
    told = ["A-USD|x|1s|0: a provisional record has revision 3, and the final one 2"]
    for bars in ((above, BAR), (BAR, above)):
        assert list(verdict.of_provisional(held(*bars), [])) == told


def state(**changes: Any) -> PartitionState:
    tallies = msgspec.structs.asdict(Tallies(rejected=1))
    found = PartitionState(partition=0, start=0, end=1, committed=1, upto=1, lag=0, tallies=tallies)
    return msgspec.structs.replace(found, **changes)


def test_a_partition_that_is_stuck_or_whose_tallies_are_wrong() -> None:
    truth = Truth([Entry(0, 0, 0, b"no trade", ())], slice_ms=1000, skew_ms=0, lateness_ms=0)
    assert list(verdict.of_tallies([state()], truth)) == []
    assert list(verdict.of_tallies([state(end=2)], truth)) == ["trades, partition 0: read to 1 of 2"]
    (told,) = verdict.of_tallies([state(tallies={"rejected": 0, "counted": 1, "lost": 1})], truth)
    assert "'lost': 1" in told


def test_late_records_that_are_missing_or_made_up() -> None:
    assert list(verdict.of_refused("late", [(0, 1, None), (0, 1, None), (0, 3, 7)], {(0, 1, None), (0, 2, None)})) == [
        "late: trades, partition 0, offset 2 is missing",
        "late: trades, partition 0, offset 3, event 7 doesn't belong there",
    ]


def test_a_record_that_never_came_to_the_log(tmp_path: Path) -> None:
    plan = Plan("x", 1, 100.0, 3, 0, str(tmp_path))
    plan.noted.write_text("3")
    values = {record(plan, n).value for n in (0, 1, 2, 3)}
    assert list(verdict.of_feed(plan, values)) == []
    values.remove(record(plan, 1).value)
    assert list(verdict.of_feed(plan, values)) == ["feed x: record 1 was acknowledged but is not in the log"]


def commit(upto: int, counted: int, offset: int = 0) -> Commit:
    saved = SliceCheckpoint(upto=upto, start=0, tallies=Tallies(counted=counted))
    return Commit("trades", 0, offset, to_metadata(saved))


def test_a_commit_that_goes_back_or_does_not_add_up() -> None:
    frames = Commit("slices", 3, 0, to_metadata(WindowCheckpoint(upto=9)))
    assert list(verdict.of_commits([frames, commit(5, 5), commit(7, 7), frames])) == []
    assert list(verdict.of_commits([commit(7, 7), commit(5, 5)])) == [
        "trades, partition 0: a commit goes back from 7 to 5"
    ]
    assert list(verdict.of_commits([commit(7, 8)])) == ["trades, partition 0: at 7 the tallies add up to 8"]


def test_what_was_read_again_is_counted_from_the_least_that_was_committed() -> None:
    commits = [commit(5, 5, offset=2), commit(7, 7, offset=2), commit(9, 9, offset=9)]
    taken_up = [("trades", 0, 0), ("trades", 0, 2), ("trades", 0, 2), ("trades", 0, 9)]
    assert verdict.read_again(commits, taken_up) == {"trades": 6}


def frame(upto: int) -> Frame:
    return Frame("trades", 0, "e", upto, 1, False, None, [], Tallies(), [], [], {})


def test_a_zombie_s_frame_comes_after_another_s_and_is_behind_its_beginning() -> None:
    sent = [(1, 10), (1, 20), (2, 30), (1, 20), (2, 40), (1, 21), (1, 50), (2, 45)]
    # Worker 1 has the partition again from 50 on, so that 45 is worker 2's turn to be a zombie.
    assert verdict.zombie_frames(Sent(0, producer, frame(upto)) for producer, upto in sent) == 3


def test_a_new_worker_that_begins_where_the_last_had_committed_is_no_zombie() -> None:
    sent = [(1, 10), (1, 20), (2, 15), (2, 25)]
    assert verdict.zombie_frames(Sent(0, producer, frame(upto)) for producer, upto in sent) == 0


def test_faults_that_left_no_trace() -> None:
    quiet = {"read_again": 0, "refused": 0, "given_up": 0, "zombie_frames": 0}
    assert len(list(verdict.of_bites({"kill": 1, "kill-all": 1, "forget": 1, "freeze": 2}, **quiet))) == 4
    assert list(verdict.of_bites({"kill": 1, "freeze": 1}, **quiet)) == []


def test_a_worker_gives_its_commit_up_or_has_it_refused_whichever_way_it_hears_that_it_is_out() -> None:
    bites = {"read_again": 1, "refused": 0, "given_up": 1, "zombie_frames": 1}
    assert list(verdict.of_bites({"freeze": 2, "forget": 1}, **bites)) == []
    assert list(verdict.of_bites({"freeze": 2, "forget": 1}, **bites | {"refused": 1, "given_up": 0})) == []
    assert list(verdict.of_bites({"freeze": 1, "forget": 1}, **bites | {"given_up": 0})) == [
        "workers were removed from the group, but no commit was refused or given up"
    ]


def test_a_partition_that_is_not_read_to_its_end() -> None:
    read, behind = (
        PartitionState(partition=n, start=0, end=9, committed=5, upto=upto, lag=9 - upto, tallies=None)
        for n, upto in enumerate((9, 8))
    )
    state = TopicState(
        name="quotes",
        holds="",
        key="",
        exists=True,
        retention_ms=-1,
        cleanup="",
        max_record_bytes=1,
        append_time=True,
        lag=1,
        partitions=[read, behind],
    )
    assert list(verdict.of_reading(state)) == ["quotes, partition 1: read to 8 of 9"]

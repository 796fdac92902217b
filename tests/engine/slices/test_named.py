"""Records that name many symbols: in a slice of each, and yet one record in the tallies."""

import json
from collections import Counter, defaultdict

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.blocks import HOUR_MS, Log, tallied
from tests.engine.notes import note, slicer
from tickertape.schemas.frame import Frame
from tickertape.schemas.refused import DeadLetter, Late
from tickertape.stream.engine.slices.slicer import Slicer


def counts(frames: list[tuple[int, Frame]]) -> dict[tuple[str, str, int], int]:
    """Return how many records each slice of frames holds."""
    held = {}
    for _, frame in frames:
        source, symbol = (np.frombuffer(frame.columns.get(name, b""), "<u4").tolist() for name in ("source", "symbol"))
        starts, count = (np.frombuffer(frame.columns.get(name, b""), "<i8").tolist() for name in ("slice_ms", "count"))
        for s, y, start, n in zip(source, symbol, starts, count, strict=True):
            held[frame.sources[s], frame.symbols[y], start - HOUR_MS] = n
    return held


def read(log: Log, owner: Slicer) -> dict[tuple[str, str, int], int]:
    owner.fold(log.block())
    return counts(owner.flush(lambda _: 0, 1, everyone=True))


def test_a_record_is_in_a_slice_of_each_symbol_that_it_names_and_counts_once() -> None:
    owner = slicer()
    log = note(Log(), 0, "A and B", 1)
    note(log, 10, "B B", 2)  # once
    note(log, 1000, "C", 3)
    assert read(log, owner) == {("s", "A", 0): 1, ("s", "B", 0): 2, ("s", "C", 1000): 1}
    assert tallied(owner.tallies) == {"counted": 3}


def test_one_that_names_none_is_unmatched_and_its_time_goes_on() -> None:
    owner = slicer()
    log = note(Log(), 0, "A", 1)
    note(log, 4000, "nothing", 2)  # the frontier is now 2000
    note(log, 500, "A", 3)  # late
    note(log, 500, "nothing either", 4)  # behind the frontier too, but there is no slice that it could be late for
    assert read(log, owner) == {("s", "A", 0): 1}
    assert tallied(owner.tallies) == {"counted": 1, "late": 1, "unmatched": 2}
    assert owner.lanes.frontier_ms == {"s": HOUR_MS + 2000}


def test_a_repeat_is_repeated_where_all_its_slices_have_it() -> None:
    owner = slicer()
    log = note(Log(), 0, "A B", 1)
    note(log, 0, "A B", 1)
    note(log, 0, "B", 1)
    note(log, 0, "A B", 2)
    # Who sends another text under an id counts for what is new in it, and only for that.
    note(log, 0, "A C", 1)
    note(log, 0, "C", 1)
    assert read(log, owner) == {("s", "A", 0): 2, ("s", "B", 0): 2, ("s", "C", 0): 1}
    assert tallied(owner.tallies) == {"counted": 3, "repeated": 3}


def test_a_late_record_is_told_of_with_all_its_symbols() -> None:
    owner = slicer()
    log = note(Log(), 4000, "X", 1)
    note(log, 0, "", 2)
    note(log, 900, "A B", 3)
    (late,) = owner.fold(log.block())
    assert isinstance(late, Late)
    assert (late.offset, late.symbol, late.late_by_ms) == (2, "A,B", 1000)


def test_one_with_a_bad_name_among_its_symbols_is_rejected_whole() -> None:
    owner = slicer()
    log = note(Log(), 0, "A |B", 1)
    note(log, 0, "A", 2)
    (letter,) = owner.fold(log.block())
    assert isinstance(letter, DeadLetter)
    assert (letter.offset, letter.reason) == (0, "'|B' has a `|`, which separates the names in a result's key")
    assert counts(owner.flush(lambda _: 0, 1, everyone=True)) == {("s", "A", 0): 1}


def test_aliases_name_symbols_too() -> None:
    owner = slicer(aliases={"AAPL": ["apple"], "FB": ["facebook"]})
    log = note(Log(), 0, "Apple and facebook and FB", 1)
    assert read(log, owner) == {("s", "AAPL", 0): 1, ("s", "FB", 0): 1}
    assert tallied(owner.tallies) == {"counted": 1}


WORDS = ("A", "B", "D", "x", "y")
steps = st.lists(
    st.one_of(
        st.tuples(
            st.integers(-3500, 900),  # how far from a clock that goes on by 300 ms a record
            st.lists(st.sampled_from(WORDS), max_size=4),
            st.integers(0, 5),
            st.sampled_from("sst"),
            st.booleans(),  # too early, or not
        ),
        st.sampled_from(["bad", "hole"]),
    ),
    min_size=1,
    max_size=40,
)


def written(drawn: list[tuple[int, list[str], int, str, bool] | str]) -> Log:
    log = Log()
    for i, step in enumerate(drawn):
        if step == "bad":
            log.raw(b"{")
        elif step == "hole":
            log.hole()
        else:
            behind, words, number, source, early = step
            at = 10_000 + 300 * i + behind
            note(log, at, " ".join(words), number, source=source, received=at - 5001 * early)
    return log


def judged(log: Log) -> tuple[Counter[str], dict[tuple[str, str, int], int]]:
    """Return what becomes of each record, in plain Python."""
    block, tallies, newest = log.block(), Counter[str](), dict[str, int]()
    ids: dict[tuple[str, str, int], set[int]] = defaultdict(set)
    tallies["empty"] = block.empty
    for value in block.values:
        try:
            found = json.loads(value or b"")
        except ValueError:
            tallies["rejected"] += 1
            continue
        source, time_ms = found["source"], found["time_ms"]
        if time_ms > found["received_ms"] + 5000:
            tallies["rejected"] += 1
            continue
        start_ms = time_ms - time_ms % 1000
        frontier_ms = newest.get(source, -(10**15)) - 2000
        newest[source] = max(newest.get(source, 0), time_ms)
        slices = {(source, word, start_ms - HOUR_MS) for word in found["words"] if word.isupper()}
        if not slices:
            tallies["unmatched"] += 1
        elif start_ms + 1000 <= frontier_ms:
            tallies["late"] += 1
        elif all(found["id"] in ids[one] for one in slices):
            tallies["repeated"] += 1
        else:
            tallies["counted"] += 1
            for one in slices:
                ids[one].add(found["id"])
    return +tallies, {one: len(members) for one, members in ids.items() if members}


@settings(max_examples=120)
@given(drawn=steps, cuts=st.sets(st.integers(1, 60), max_size=6))
def test_wherever_blocks_are_cut_it_is_what_plain_python_finds(
    drawn: list[tuple[int, list[str], int, str, bool] | str], cuts: set[int]
) -> None:
    log, owner = written(drawn), slicer()
    held: dict[tuple[str, str, int], int] = {}
    for block in log.blocks(cuts):
        owner.fold(block)
        held |= counts(owner.flush(lambda _: 0, 1, everyone=True))
    tallies, expected = judged(log)
    assert tallied(owner.tallies) == tallies
    assert tallies.total() == owner.upto == log.end
    assert held == expected


@settings(max_examples=60)
@given(drawn=steps, cuts=st.sets(st.integers(1, 60), max_size=6), stop=st.integers(0, 60))
def test_a_new_owner_goes_on_to_the_same(
    drawn: list[tuple[int, list[str], int, str, bool] | str], cuts: set[int], stop: int
) -> None:
    log, owner = written(drawn), slicer()
    held: dict[tuple[str, str, int], int] = {}
    for block in log.blocks({*cuts, stop}):
        if block.start >= stop:
            offset, saved = owner.checkpoint()
            owner, stop = slicer(checkpoint=saved, committed=offset), 1 << 30
            # What was read before is read again, from the offset on.
            owner.fold(log.block(offset, block.start))
        owner.fold(block)
        held |= counts(owner.flush(lambda _: 0, 1, everyone=True))
    tallies, expected = judged(log)
    assert tallied(owner.tallies) == tallies
    assert held == expected


@pytest.mark.parametrize("words", ["A B", ""])
def test_a_frame_of_it_is_as_any_other(words: str) -> None:
    owner = slicer()
    owner.fold(note(Log(), 0, words).block())
    frames = [frame for _, frame in owner.flush("AB".index, 2, everyone=False)]
    assert [msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Frame) for one in frames] == frames
    assert [one.symbols for one in frames] == ([["A"], ["B"]] if words else [])

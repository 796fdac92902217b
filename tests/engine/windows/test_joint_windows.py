"""Joint windows: `all` and the only source have one row, and nothing that is published tells that they do."""

from typing import TypeAlias

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.engine.blocks import EPOCH, HOUR_MS, Slice, SliceKey
from tests.engine.derived.test_fill import FILLED
from tests.engine.derived.test_recursion import DECAY
from tests.engine.derived.test_rolling import SLIDING
from tests.engine.made_frames import FAR_HORIZON_MS, frame, upsert
from tests.engine.windows.test_windows import shards
from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.results import Results
from tickertape.stream.engine.core.table import NO_ROW
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.recovery.state import State, from_bytes, to_bytes
from tickertape.stream.engine.windows.placing import Placing
from tickertape.stream.engine.windows.windows import Windows

#: What is published, by key.
Records: TypeAlias = dict[bytes, bytes]
Upsert: TypeAlias = tuple[SliceKey, Slice]


class Owner:
    """Owns a shard, one owner after another.

    Parameters
    ----------
    joins
        Whether windows may be joint.
    """

    def __init__(
        self, *, joins: bool = True, horizon_ms: int = FAR_HORIZON_MS, fill: bool = False, derived: bool = False
    ) -> None:
        self.joins = joins
        self.log: list[Frame] = []
        self.snapshot: tuple[int, bytes] | None = None
        self._horizon_ms, self._fill, self._derived = horizon_ms, fill, derived
        self.windows = self._make()
        self.windows.assign(0, Views())
        self.windows.start_publishing(0)

    def _make(self) -> Windows:
        derived = Derived(FILLED, [DECAY, SLIDING], Settings()) if self._derived else None
        return Windows(
            FILLED, slice_ms=1000, horizon_ms=self._horizon_ms, epoch=EPOCH, fill=self._fill, derived=derived
        )

    def apply(self, one: Frame) -> None:
        self.windows.apply_frame(0, len(self.log), one)
        self.log.append(one)

    def flush(self, *, longer: bool = True) -> Records:
        """Publish all that is due; every result at most once."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Placing, "_joins", self.joins)
            records = list(Results(self.windows.flush(longer=longer).blocks))
            while self.windows.lags:
                records += self.windows.flush(longer=longer)
        found = {key: value for _, _, key, value in records}
        assert len(found) == len(records)
        return found

    def says(self, *frames: Frame) -> dict[tuple[str, str, int], tuple[int, float, int, bool]]:
        """Apply frames and publish; return count, total, missing and final by source, resolution and start."""
        for one in frames:
            self.apply(one)
        rows = map(msgspec.json.decode, self.flush().values())
        return {
            (row["source"], row["resolution"], row["start_ms"] - HOUR_MS): tuple(
                row[name] for name in ("count", "total", "missing", "final")
            )
            for row in rows
        }

    def checkpoint(self) -> tuple[int, Views]:
        return self.windows.checkpoint(0, len(self.log))

    def state(self) -> State:
        (state,) = from_bytes(to_bytes([self.windows.state(0)]))
        return state

    def snap(self) -> None:
        self.snapshot = len(self.log), to_bytes([self.windows.state(0)])

    def restart(self, snapshot: tuple[int, bytes] | None) -> Records:
        """Have the next owner go on from a snapshot, or from the commit alone; return what it publishes at first."""
        read = len(self.log)
        offset, known = self.checkpoint()
        metadata = to_metadata(WindowCheckpoint(upto=read, topics={"trades": known}))
        state = None
        if snapshot is not None:
            offset, (state,) = snapshot[0], from_bytes(snapshot[1])
        elif self._derived or self._fill:
            offset = 0
        self.windows = self._make()
        self.windows.assign(0, windows_from(metadata).topics["trades"], read, state, fresh=offset == 0)
        for at in range(offset, read):
            self.windows.apply_frame(0, at, self.log[at])
            assert self.flush() == {}
        self.windows.start_publishing(0)
        return self.flush()

    def joint(self) -> int:
        """Return how many rows are joint."""
        windows = self.windows._tables.windows
        return int(np.count_nonzero(windows.columns["only"][windows.live()]))


_steps = st.lists(
    st.tuples(
        st.integers(0, 1),  # the partition
        # Source, symbol, which slice past the frontier, and a value that sums tell from others.
        st.lists(st.tuples(st.sampled_from("ssst"), st.sampled_from("AAD"), st.integers(0, 3), st.integers(0, 9))),
        st.tuples(*[st.sampled_from([0, 0, 400, 1000, 1500, 6000])] * 2),  # by how much the lanes of s and t go on
        st.sampled_from(["", "", "", "s", "t", "st"]),  # whose lanes are idle
        st.sampled_from(["", "", "", "", "s", "t"]),  # whose have ended
        st.sampled_from(["", "", "", "", "", "s", "t"]),  # who is evicted
        st.lists(st.integers(0, 3), max_size=3),  # what the fast lane has shown
        st.sampled_from([None, None, None, 1000, 4500]),  # what retention has taken
        st.integers(0, 9),  # whether a zombie sends an earlier frame once more
    ),
    min_size=1,
    max_size=25,
)


@st.composite
def spoken(draw: st.DrawFn) -> list[Frame]:
    """Draw frames of two partitions with lanes of s, and some of t, which go on at their own pace."""
    passed: dict[tuple[int, str], int] = {}
    values: dict[tuple[int, str, str, int], list[float]] = {}
    frames = []
    for n, (partition, slices, ahead, idle, ended, evicted, shown, lost, zombie) in enumerate(draw(_steps)):
        rows = {}
        for source, symbol, later, value in slices:
            start = (passed.setdefault((partition, source), 0) // 1000 + later) * 1000
            held = values.setdefault((partition, source, symbol, start), [])
            held.append(0.1 + value if value else 1e16)
            rows[source, symbol, start] = upsert(start, *held, source=source, symbol=symbol, first_id=start // 100 + 1)
        for source, by in zip("st", ahead, strict=True):
            if (partition, source) in passed:
                passed[partition, source] += by
        lanes = {source: at for (of, source), at in passed.items() if of == partition and source != evicted}
        gone = passed.get((partition, evicted))
        one = frame(
            n + 1,
            *rows.values(),
            lanes=lanes,
            idle=idle,
            partition=partition,
            partitions=2,
            resting=bool(idle),
            incomplete=lost and (lost, lost + 1500),
            evicted=gone,
            shown=(shown + [0] * len(rows))[: len(rows)] if shown else (),
        )
        one = replace(one, lanes=[replace(lane, ended=lane.source in ended) for lane in one.lanes])
        frames.append(one)
        if not zombie:
            frames.append(frames[len(frames) // 2])
    return frames


def earlier(snapshot: tuple[int, bytes] | None) -> tuple[int, bytes] | None:
    """Return a snapshot as the version before joint windows wrote it, if it has none."""
    if snapshot is None:
        return None
    upto, data = snapshot
    (state,) = from_bytes(data)
    only = state.rows.windows["only"]
    if isinstance(only, bytes) and (np.frombuffer(only, np.int32) != NO_ROW).any():
        return snapshot  # an owner that makes none has restored these
    windows = {name: column for name, column in state.rows.windows.items() if not name.startswith("only")}
    return upto, to_bytes([replace(state, rows=replace(state.rows, windows=windows))])


EVENTS = ["go on", "go on", "flush", "flush", "finest", "snap", "snap", "restored", "read again", "of the other"]


@settings(max_examples=200, deadline=None)
@given(
    shards().map(lambda drawn: drawn[1]) | spoken() | spoken(),
    st.sampled_from([FAR_HORIZON_MS, 4000, 1000, 0]),
    st.sampled_from(["", "", "", "fill", "derived", "fill derived"]),
    st.data(),
)
def test_nothing_tells_that_windows_are_joint(
    frames: list[Frame], horizon_ms: int, also: str, data: st.DataObject
) -> None:
    joint, alone = (
        Owner(joins=joins, horizon_ms=horizon_ms, fill="fill" in also, derived="derived" in also)
        for joins in (True, False)
    )
    for one in frames:
        joint.apply(one)
        alone.apply(one)
        match data.draw(st.sampled_from(EVENTS)):
            case "flush":
                assert joint.flush() == alone.flush()
            case "finest":
                assert joint.flush(longer=False) == alone.flush(longer=False)
            case "snap":
                assert joint.flush() == alone.flush()
                joint.snap()
                alone.snap()
            case "restored":
                assert joint.flush() == alone.flush()
                assert joint.restart(joint.snapshot) == alone.restart(alone.snapshot)
            case "read again":
                assert joint.flush() == alone.flush()
                assert joint.restart(None) == alone.restart(None)
            case "of the other":
                # A snapshot from before there were joint windows, and one with them for who makes none.
                assert joint.flush() == alone.flush()
                assert joint.restart(earlier(alone.snapshot)) == alone.restart(joint.snapshot)
            case _:
                continue
        assert joint.windows.late() == alone.windows.late()
        assert joint.checkpoint() == alone.checkpoint()
    assert joint.flush() == alone.flush()
    assert joint.windows.late() == alone.windows.late()
    assert joint.checkpoint() == alone.checkpoint()
    # A joint window of all sources is kept as long as that of its source.
    assert len(joint.windows) >= len(alone.windows)
    assert bool(len(joint.windows)) == bool(len(alone.windows))
    assert joint.windows.slices_from(0) == alone.windows.slices_from(0)


#: Of each case: steps, which are frames that arrive together; and how many joint rows there are after each.
CASES: dict[str, list[tuple[list[Frame], int]]] = {
    "a second source comes into an open window": [
        ([frame(1, upsert(0, 1.0), lanes={"s": 0, "t": 0})], 2),
        ([frame(2, upsert(1000, 4.0, source="t"), lanes={"s": 0, "t": 0})], 1),
        ([frame(3, lanes={"s": 3000, "t": 3000})], 0),
    ],
    "a second source comes with the first": [
        ([frame(1, upsert(0, 1.0), upsert(0, 2.0, source="t"), upsert(0, 4.0, symbol="B"), lanes={"s": 0, "t": 0})], 2),
        ([frame(2, lanes={"s": 3000, "t": 3000})], 0),
    ],
    "a second source comes when the window is final for the first": [
        ([frame(1, upsert(0, 1.0), upsert(2000, 2.0), lanes={"s": 0, "t": 0})], 3),
        ([frame(2, lanes={"s": 3000, "t": 0})], 3),
        ([frame(3, upsert(0, 4.0, source="t"), lanes={"s": 3000, "t": 2500})], 1),
        ([frame(4, lanes={"s": 3000, "t": 3000})], 0),
    ],
    "a second source comes after a fold": [
        ([frame(1, upsert(0, 1e16), upsert(1000, 1.0), lanes={"s": 2000, "t": 2000})], 1),
        ([frame(2, upsert(2000, 1.0), upsert(2000, 1.0, source="t"), lanes={"s": 3000, "t": 2000})], 0),
        ([frame(3, lanes={"s": 3000, "t": 3000})], 0),
    ],
    "news comes of a slice that only the source has folded": [
        ([frame(1, upsert(1000, 2.0, 4.0), lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s")], 2),
        ([frame(1, lanes={"s": 9000, "t": 500}, partitions=2)], 2),
        ([frame(2, upsert(1000, 2.0, 4.0, 1.0), lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s")], 0),
        ([frame(3, lanes={"s": 9000, "t": 9000}, partition=p, partitions=2) for p in (0, 1)], 0),
    ],
    "a slice comes that only all sources can still take": [
        ([frame(1, upsert(2000, 2.0), lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s")], 2),
        ([frame(1, lanes={"s": 7000, "t": 500}, partitions=2)], 2),
        ([frame(2, upsert(1000, 1.0), lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s")], 1),
        ([frame(3, lanes={"s": 9000, "t": 9000}, partition=p, partitions=2) for p in (0, 1)], 0),
    ],
}


@pytest.mark.parametrize("restarts", ["", "restored", "read again"])
@pytest.mark.parametrize("case", CASES)
def test_a_window_is_split_before_it_is_that_of_one_source_only_in_part(case: str, restarts: str) -> None:
    joint, alone = (Owner(joins=joins, horizon_ms=5000) for joins in (True, False))
    for frames, rows in CASES[case]:
        assert joint.says(*frames) == alone.says(*frames)
        assert joint.windows.late() == alone.windows.late()
        assert len(joint.windows) == len(alone.windows)
        assert (joint.joint(), alone.joint()) == (rows, 0)
        if restarts:
            for one in (joint, alone):
                one.snap()
                one.restart(one.snapshot if restarts == "restored" else None)
        assert joint.checkpoint() == alone.checkpoint()
    assert (joint.says(), len(joint.windows)) == ({}, 0)


def test_sums_are_in_the_canonical_order_after_a_split() -> None:
    # 1e16 takes in a 2, but not a 1 and another.
    one = Owner()
    one.says(frame(1, upsert(0, 1e16), upsert(1000, 1.0), lanes={"s": 2000, "t": 2000}))
    assert one.joint() == 1
    come = one.says(frame(2, upsert(2000, 1.0), upsert(2000, 1.0, source="t"), lanes={"s": 3000, "t": 3000}))
    assert one.joint() == 0
    assert {key: row for key, row in come.items() if key[1] == "3s"} == {
        # All have the id 1, which are two events more than ids.
        ("s", "3s", 0): (3, 1e16, -2, True),
        ("t", "3s", 0): (1, 1.0, 0, True),
        # A negative number means unknown, and so does the sum.
        ("all", "3s", 0): (4, 1e16 + 2, -1, True),
    }


def test_each_result_is_final_by_its_own_frontier() -> None:
    one = Owner()
    assert one.says(frame(1, upsert(2000, 1.0, first_id=7), lanes={"s": 0, "t": 0})) == {
        (source, resolution, start): (1, 1.0, 0, False)
        for source in ("s", "all")
        for resolution, start in (("1s", 2000), ("3s", 0))
    }
    assert one.says(frame(2, lanes={"s": 3000, "t": 0})) == {
        ("s", "1s", 2000): (1, 1.0, 0, True),
        ("s", "3s", 0): (1, 1.0, 0, True),
    }
    assert one.joint() == 2
    assert one.says(frame(3, lanes={"s": 3000, "t": 3000})) == {
        ("all", "1s", 2000): (1, 1.0, 0, True),
        ("all", "3s", 0): (1, 1.0, 0, True),
    }
    assert len(one.windows) == 0


def ended(upto: int, *upserts: Upsert, lanes: dict[str, int], partition: int = 0, partitions: int = 1) -> Frame:
    """Return a frame in which the lane of s has ended."""
    one = frame(upto, *upserts, lanes=lanes, partition=partition, partitions=partitions)
    return replace(one, lanes=[replace(lane, ended=lane.source == "s") for lane in one.lanes])


def test_a_number_that_is_unknown_for_a_source_is_unknown_for_all_sources() -> None:
    one, alone = Owner(), Owner(joins=False)
    # Ids 1 to 3, then 1 and 2 again: five records of three ids.
    again = frame(1, upsert(0, 1.0, 2.0, 3.0), upsert(1000, 4.0, 5.0), lanes={"s": 3000, "t": 3000})
    assert (come := one.says(again)) == alone.says(again)
    assert (come["s", "3s", 0], come["all", "3s", 0]) == ((5, 15.0, -2, True), (5, 15.0, -1, True))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_window_that_is_finished_for_all_sources_goes_on_for_its_own(restarts: bool) -> None:
    one, alone = Owner(), Owner(joins=False)
    for each in (one, alone):
        each.says(frame(1, upsert(3000, 1.0), upsert(4000, 2.0, first_id=2), lanes={"s": 3500, "t": 3500}))
        each.snap()
        # Slices of all sources are folded up to 9000, those of s up to 4500.
        each.says(ended(2, lanes={"s": 4500, "t": 9000}))
    if restarts:
        assert one.restart(one.snapshot) == alone.restart(alone.snapshot)
        assert one.joint() == 0
    back = frame(3, upsert(4000, 2.0, 4.0, first_id=2), lanes={"s": 4600, "t": 9000})
    come = one.says(back)
    assert come == alone.says(back)
    assert come == {("s", "1s", 4000): (2, 6.0, 0, True), ("s", "3s", 3000): (3, 7.0, 0, True)}
    assert [late.missing_in for late in one.windows.late()] == [["all"]]
    assert len(one.windows) == len(alone.windows)


def test_a_slice_that_only_the_source_can_still_take_splits_its_window() -> None:
    one = Owner()
    one.says(frame(1, upsert(3000, 1.0), lanes={"s": 3500, "t": 3500}))
    one.says(ended(2, lanes={"s": 3500, "t": 9000}))
    assert one.joint() == 2
    assert one.says(frame(3, upsert(4000, 2.0, first_id=2), lanes={"s": 3500, "t": 9000})) == {
        ("s", "1s", 4000): (1, 2.0, 0, True),
        ("s", "3s", 3000): (2, 3.0, 0, True),
    }
    # That of 1 s at 3000 has no further slice.
    assert one.joint() == 1


def test_a_window_is_not_joint_if_its_source_has_a_row_already() -> None:
    one = Owner()
    one.says(ended(1, lanes={"s": 3500, "t": 4200}))
    # Of all sources it is too late.
    late = frame(2, upsert(3000, 1.0), lanes={"s": 3500, "t": 4200})
    assert one.says(late) == {("s", "1s", 3000): (1, 1.0, 0, True), ("s", "3s", 3000): (1, 1.0, 0, True)}
    come = one.says(frame(3, upsert(5000, 2.0, first_id=2), lanes={"s": 3500, "t": 4200}))
    assert {key: row[:3] for key, row in come.items()} == {
        ("s", "1s", 5000): (1, 2.0, 0),
        ("s", "3s", 3000): (2, 3.0, 0),
        ("all", "1s", 5000): (1, 2.0, 0),
        ("all", "3s", 3000): (1, 2.0, 0),
    }


def test_a_new_window_is_final_for_its_source_by_the_sources_frontier() -> None:
    one = Owner(horizon_ms=5000)
    one.says(
        frame(1, lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s"),
        frame(1, lanes={"s": 9000, "t": 500}, partitions=2),
    )
    woken = frame(2, upsert(5000, 1.0), lanes={"s": -500, "t": 500}, partition=1, partitions=2, idle="s")
    assert {key: row[3] for key, row in one.says(woken).items()} == {
        ("s", "1s", 5000): True,
        ("s", "3s", 3000): True,
        ("all", "1s", 5000): False,
        ("all", "3s", 3000): False,
    }


def test_a_restored_window_has_what_its_source_had_folded() -> None:
    one, alone = (Owner(joins=joins, horizon_ms=1000) for joins in (True, False))
    woken = frame(2, upsert(3000, 1.0, 2.0), lanes={"s": 3500, "t": 3000}, partition=1, partitions=2)
    for each in (one, alone):
        each.says(
            frame(1, upsert(3000, 1.0), lanes={"s": 3500, "t": 3000}, partition=1, partitions=2, idle="s"),
            frame(1, upsert(5000, 4.0, first_id=2), lanes={"s": 5500, "t": 3000}, partitions=2),
        )
        # The horizon has closed the first slice for s. For all sources it grows.
        each.snap()
        each.says(woken)
        each.says(*(ended(3, lanes={"s": 3500 if p else 5500, "t": 6500}, partition=p, partitions=2) for p in (1, 0)))
    assert one.restart(one.snapshot) == alone.restart(alone.snapshot)
    grown = frame(4, upsert(5000, 4.0, 8.0, first_id=2), lanes={"s": 5600, "t": 6500}, partitions=2)
    assert (
        one.says(grown)
        == alone.says(grown)
        == {
            ("s", "1s", 5000): (2, 12.0, 0, True),
            ("s", "3s", 3000): (3, 13.0, 0, True),
        }
    )


def test_a_snapshot_has_a_joint_window_once() -> None:
    joint, alone = Owner(), Owner(joins=False)
    for one in (joint, alone):
        one.says(frame(1, upsert(0, 1.0), upsert(0, 1.0, symbol="B"), lanes={"s": 0}))
    assert [len(one.state().rows.windows["end_ms"]) // 8 for one in (joint, alone)] == [4, 8]


def test_shorter_windows_are_not_joint_where_a_longer_one_has_several_sources() -> None:
    one = Owner()
    one.says(frame(1, upsert(0, 1.0), upsert(0, 1.0, source="t"), lanes={"s": 0, "t": 0}))
    one.says(frame(2, upsert(2000, 1.0), lanes={"s": 0, "t": 0}))
    assert one.joint() == 0
    one.says(frame(3, upsert(3000, 1.0), lanes={"s": 0, "t": 0}))
    assert one.joint() == 2


def test_a_source_of_joint_windows_is_in_use() -> None:
    one = Owner()
    # Its slice is folded, and its window of 3 s is open.
    one.says(frame(1, upsert(0, 1.0), lanes={"s": 1000}))
    assert (one.windows.slices_from(0), len(one.windows)) == (0, 2)
    assert one.windows._tables.sources_of(0) == {"s", "all"}

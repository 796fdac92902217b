"""Windows restored from a snapshot: what comes after is what would have come, to the last bit."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.blocks import EPOCH, HOUR_MS, TICKS, Log
from tests.engine.derived.test_fill import FILLED, filled
from tests.engine.made_frames import FAR_HORIZON_MS, WINDOWING, Shard, TickWindows, frame, owned, upsert
from tests.engine.windows.test_windows import shards, windows_of
from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.frame import Frame
from tickertape.stream.engine.define.aggregate import INT, Sum
from tickertape.stream.engine.derived import fill
from tickertape.stream.engine.derived.derived import Derived
from tickertape.stream.engine.recovery.state import State, earlier_fingerprints, fingerprint, from_bytes, to_bytes
from tickertape.stream.engine.windows.windows import Windows


def again(windows: Windows) -> State:
    """Return what a snapshot of shard 0 has, by way of its bytes."""
    (state,) = from_bytes(to_bytes([windows.state(0)]))
    return state


class Snapped(Shard):
    """A shard whose next owner goes on from a snapshot, made at a commit, and knows the last commit."""

    def __init__(self, horizon_ms: int = FAR_HORIZON_MS, *, fill: bool = False) -> None:
        super().__init__(horizon_ms)
        self._fill = fill
        self.windows = self._make()
        self.windows.assign(0, Views())
        self.windows.start_publishing(0)
        self.snapshot: tuple[int, bytes] | None = None

    def _make(self) -> Windows:
        return Windows(
            FILLED,
            slice_ms=1000,
            horizon_ms=self._horizon_ms,
            epoch=EPOCH,
            fill=self._fill,
            derived=self._following(),
        )

    def _following(self) -> Derived | None:
        return None

    def befall(self, what: str) -> None:
        """Have it ``flush``, ``snap`` or ``restart``, or ``go on``."""
        match what:
            case "flush":
                self.flush()
            case "snap":
                self.snap()
            case "restart":
                self.restart()

    def _flush_all(self) -> None:
        self.flush()
        while self.windows.lags:
            self.flush()
        self.all_late()

    def snap(self) -> None:
        self._flush_all()
        self.snapshot = len(self.log), to_bytes([self.windows.state(0)])

    def restart(self) -> None:
        if self.snapshot is None:
            return
        self._flush_all()
        read = len(self.log)
        _, views = self.windows.checkpoint(0, read)
        metadata = to_metadata(WindowCheckpoint(upto=read, topics={"trades": views}))
        upto, data = self.snapshot
        (state,) = from_bytes(data)
        self.windows = self._make()
        self.windows.assign(0, windows_from(metadata).topics["trades"], read, state)
        for at in range(upto, read):
            self.windows.apply_frame(0, at, self.log[at])
            assert self.flush() == {}, "nothing is published before all is known again"
        self.windows.start_publishing(0)


def test_the_next_owner_goes_on_from_a_snapshot_without_the_frames_below_it() -> None:
    shard = Snapped()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 1000}))
    shard.says(frame(2, upsert(1000, 2.0, first_id=2), lanes={"s": 1500}))
    shard.snap()
    shard.log[:] = [None] * 2  # type: ignore[list-item]  # nobody may read them again
    shard.restart()
    assert shard.says(frame(3, upsert(2000, 4.0, first_id=3), lanes={"s": 3000})) == {
        (source, resolution, start, "A"): came
        for source in ("s", "all")
        for resolution, start, came in (
            ("1s", 1000, (1, 2.0, True)),
            ("1s", 2000, (1, 4.0, True)),
            ("3s", 0, (3, 7.0, True)),
        )
    }
    assert len(shard.windows) == 0


def test_what_became_final_between_the_snapshot_and_the_commit_is_not_published_again() -> None:
    shard = Snapped()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}))
    shard.snap()
    shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 1000}))
    shard.restart()
    # Frame 2 has changed the window of 3 s, whose last word may not have come through.
    assert shard.flush() == dict.fromkeys([("s", "3s", 0, "A"), ("all", "3s", 0, "A")], (2, 3.0, False))


def test_a_zombies_upsert_is_old_after_a_snapshot_too() -> None:
    shard = Snapped()
    old = frame(1, upsert(0, 1.0), lanes={"s": -500})
    shard.says(old, frame(2, upsert(0, 1.0, 2.0), lanes={"s": 0}))
    shard.snap()
    shard.restart()
    assert shard.says(old) == {}
    closed = frame(3, lanes={"s": 1000})
    assert shard.says(closed)["s", "1s", 0, "A"] == (2, 3.0, True)
    shard.snap()
    shard.restart()
    assert shard.says(frame(2, upsert(0, 9.0), lanes={"s": 0})) == {}


def test_an_idle_lane_is_idle_after_a_snapshot_too() -> None:
    shard = Snapped()
    shard.says(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    shard.snap()
    shard.restart()
    assert shard.says(frame(2, upsert(0, 1.0), lanes={"s": 1000}, partitions=2))["s", "1s", 0, "A"] == (1, 1.0, True)


def test_a_partition_that_has_not_spoken_holds_finals_back_after_a_snapshot_too() -> None:
    shard = Snapped()
    shard.says(frame(1, lanes={"s": 0}, partitions=2))
    shard.snap()
    shard.restart()
    assert shard.says(frame(2, upsert(0, 1.0), lanes={"s": 9000}))["s", "1s", 0, "A"] == (1, 1.0, False)


def test_windows_of_all_sources_still_know_their_shares() -> None:
    shard = Snapped()
    lanes = {"s": 0, "t": 0}
    # Ids 1 and 5 of s, 1 and 3 of t: four are missing.
    shard.says(frame(1, upsert(0, 1.0), upsert(0, 1.0, source="t"), lanes=lanes))
    shard.says(frame(2, upsert(1000, 1.0, first_id=5), upsert(1000, 1.0, source="t", first_id=3), lanes=lanes))
    shard.snap()
    shard.restart()
    shard.says(frame(3, lanes=dict.fromkeys(lanes, 3000)))
    assert shard.holds["all", "3s", 0, "A"].final
    assert shard.holds["all", "3s", 0, "A"].missing == 4


def test_what_is_incomplete_stays_so() -> None:
    shard = Snapped()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}, incomplete=(0, 500)))
    shard.snap()
    shard.restart()
    shard.says(frame(2, upsert(0, 1.0, 2.0), lanes={"s": 3000}))
    assert shard.holds["s", "3s", 0, "A"].incomplete


def test_other_shards_stay_out_of_it() -> None:
    windows = owned()
    windows.assign(1, Views())
    windows.start_publishing(1)
    windows.apply_frame(0, 0, frame(1, upsert(0, 1.0), lanes={"s": 0}))
    windows.apply_frame(1, 0, frame(1, upsert(0, 2.0, symbol="B"), upsert(0, 4.0, symbol="C"), lanes={"s": 0}))
    windows.flush()
    state = again(windows)
    assert (sorted(state.rows.names), len(state.rows.windows["end_ms"])) == (["1s", "3s", "A", "all", "s"], 2 * 8)
    # They share the tables, in which rows and codes are others by now.
    third = owned()
    third.assign(1, Views())
    third.apply_frame(1, 0, frame(1, upsert(0, 2.0, source="r", symbol="B"), lanes={"s": 0, "r": 0}))
    third.flush()
    third.assign(0, Views(), state=state)
    third.apply_frame(0, 1, frame(2, lanes={"s": 3000}))
    came = {key.decode(): msgspec.json.decode(value)["total"] for _, _, key, value in third.flush()}
    assert came == {f"A|{source}|{resolution}|{HOUR_MS}": 1.0 for source in ("s", "all") for resolution in ("1s", "3s")}


def test_a_state_of_nothing() -> None:
    windows = owned()
    state = again(windows)
    windows.assign(0, Views(), state=state)
    assert len(windows) == 0


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\x93", b"\x91\xa1x"])
def test_what_is_no_state_is_told(data: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        from_bytes(data)


class MoreTicks(TickWindows):
    reducers = TickWindows.reducers[:-1]


@pytest.mark.parametrize(
    "other",
    [
        replace(WINDOWING, resolutions={"1s": 1000}),
        replace(WINDOWING, resolutions={"1s": 1000, "3s": 4000}),
        replace(WINDOWING, aggregate=MoreTicks()),
        replace(WINDOWING, slicing=replace(TICKS, aggregate=MoreTicks())),
    ],
)
def test_a_fingerprint_tells_forms_apart(other: object) -> None:
    mine = fingerprint([WINDOWING], EPOCH, fill=False)
    assert mine == fingerprint([replace(WINDOWING)], EPOCH, fill=False)
    assert mine != fingerprint([other], EPOCH, fill=False)  # type: ignore[list-item]  # it is a Windowing
    assert mine != fingerprint([WINDOWING], "1000-2000", fill=False)
    assert mine != fingerprint([WINDOWING, WINDOWING], EPOCH, fill=False)


def test_the_states_of_the_version_before_joint_windows_can_be_restored() -> None:
    # It wrote this.
    assert "195dfffbdc9f9446" in earlier_fingerprints([WINDOWING], EPOCH, fill=False)
    assert fingerprint([WINDOWING], EPOCH, fill=False) not in earlier_fingerprints([WINDOWING], EPOCH, fill=False)


def test_a_fingerprint_tells_what_is_filled() -> None:
    assert fingerprint([FILLED], EPOCH, fill=False) == fingerprint([WINDOWING], EPOCH, fill=False)
    assert fingerprint([FILLED], EPOCH, fill=True) != fingerprint([WINDOWING], EPOCH, fill=True)


@settings(max_examples=150)
@given(shards(), st.data())
def test_owners_that_go_on_from_snapshots_publish_what_plain_python_finds(
    drawn: tuple[list[Log], list[Frame]], data: st.DataObject
) -> None:
    partitions, frames = drawn
    shard, alone = Snapped(), Shard()
    for one in frames:
        shard.apply_frames(one)
        alone.says(one)
        shard.befall(data.draw(st.sampled_from(["go on", "go on", "flush", "snap", "snap", "restart"])))
    shard.flush()
    assume(not shard.all_late() and not alone.all_late())
    assert shard.holds == alone.holds
    found = {key: (window.count, window.total, window.last) for key, window in shard.holds.items()}
    assert found == windows_of(partitions)
    assert all(window.final for window in shard.holds.values())
    assert len(shard.windows) == 0


def test_a_gap_goes_on_after_a_snapshot() -> None:
    shard = Snapped(fill=True)
    # A's next slice comes after the snapshot; C's is in it, and open. Ends 1 s at 0.
    rows = upsert(0, 1.0), upsert(0, 3.0, symbol="B"), upsert(0, 5.0, symbol="C"), upsert(1000, 6.0, symbol="C")
    shard.says(frame(1, *rows, lanes={"s": 1000}))
    shard.snap()
    # Ends 1 s at 1000 and 2000: these are published, and the snapshot doesn't know of them.
    shard.says(frame(2, upsert(2000, 2.0, first_id=2), lanes={"s": 2000}))
    shard.says(frame(3, lanes={"s": 3000}))
    shard.restart()
    shard.says(frame(4, lanes={"s": 4000}))
    mine = sorted(
        (symbol, start, w.last) for (of, width, start, symbol), w in shard.holds.items() if of + width == "s1s"
    )
    assert mine == [
        *(("A", 0, 1.0), ("A", 1000, 1.0), ("A", 2000, 2.0), ("A", 3000, 2.0)),
        *(("B", 0, 3.0), ("B", 1000, 3.0), ("B", 2000, 3.0), ("B", 3000, 3.0)),
        *(("C", 0, 5.0), ("C", 1000, 6.0), ("C", 2000, 6.0), ("C", 3000, 6.0)),
    ]


@settings(max_examples=100)
@given(shards(), st.sampled_from([3, 50, 20_000]), st.data())
def test_owners_that_go_on_from_snapshots_fill_what_plain_python_fills(
    drawn: tuple[list[Log], list[Frame]], limit: int, data: st.DataObject
) -> None:
    partitions, frames = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "FILLED_RECORDS", limit)
        shard = Snapped(fill=True)
        for one in frames:
            shard.apply_frames(one)
            shard.befall(data.draw(st.sampled_from(["go on", "flush", "snap", "restart"])))
        shard.flush()
        while shard.windows.lags:
            shard.flush()
    assume(not shard.all_late())
    _, views = shard.windows.checkpoint(0, len(frames))
    final_ms = {source: at - HOUR_MS for source, at in views.final.items()}
    found = {key: (window.count, window.total, window.last) for key, window in shard.holds.items()}
    assert found == filled(partitions, final_ms)


@settings(max_examples=100)
@given(shards(), st.data())
def test_a_snapshot_is_the_same_state(drawn: tuple[list[Log], list[Frame]], data: st.DataObject) -> None:
    # Restored, and fed what comes after, it gives the same records, each to the last bit.
    _, frames = drawn
    cut = data.draw(st.integers(0, len(frames)))
    first, then = owned(), owned()
    for at, one in enumerate(frames[:cut]):
        first.apply_frame(0, at, one)
        if data.draw(st.booleans()):
            first.flush()
    first.flush()
    first.late()  # what was told before the snapshot
    then.assign(0, Views(), state=again(first))
    for at, one in enumerate(frames[cut:], cut):
        first.apply_frame(0, at, one)
        then.apply_frame(0, at, one)
        if data.draw(st.booleans()):
            assert sorted(first.flush()) == sorted(then.flush())
            assert first.checkpoint(0, at + 1) == then.checkpoint(0, at + 1)
    assert sorted(first.flush()) == sorted(then.flush())
    assert first.late() == then.late()
    assert len(first) == len(then)


def test_a_snapshot_from_before_an_optional_column_existed_is_restored_with_zeros() -> None:
    class Later(TickWindows):
        reducers = (*TickWindows.reducers, Sum("rare", INT, optional=True))

    later = replace(WINDOWING, slicing=replace(TICKS, aggregate=Later()), aggregate=Later())
    assert fingerprint([later], EPOCH, fill=False) == fingerprint([WINDOWING], EPOCH, fill=False)
    before = owned(Windows(WINDOWING, slice_ms=1000, horizon_ms=FAR_HORIZON_MS, epoch=EPOCH))
    before.apply_frame(0, 0, frame(1, upsert(0, 1.0, 2.0), lanes={"s": 0}))
    before.flush()
    after = Windows(later, slice_ms=1000, horizon_ms=FAR_HORIZON_MS, epoch=EPOCH)
    after.assign(0, Views(), 1, again(before))
    after.start_publishing(0)
    after.apply_frame(0, 1, frame(2, lanes={"s": 3000}))
    assert len(after.flush()) == 4  # of 1 s and 3 s, of the source and of all
    held = after._tables.windows.columns["rare"]
    assert held.tolist() == [0] * len(held)

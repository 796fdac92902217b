"""Recursions over final windows, step by step: what a window leads to, and that it goes with what is corrected."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.engine.blocks import EPOCH, HOUR_MS, Log
from tests.engine.derived.test_fill import FILLED
from tests.engine.made_frames import FAR_HORIZON_MS, Identity, frame, upsert
from tests.engine.recovery.test_snapshot import Snapped
from tests.engine.windows.test_windows import shards, windows_of
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.schemas.topics import INDICATORS
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT
from tickertape.stream.engine.define.recipes import Recursion
from tickertape.stream.engine.derived.derived import Derived, outputs_of
from tickertape.stream.engine.derived.series import Arena
from tickertape.stream.engine.windows.windows import Windows
from tickertape.stream.errors import ConfigError


class Decay(Struct, frozen=True, tag_field="kind", tag="decay"):
    """Half of what was, and the last value; from the second window on."""

    symbol: str
    source: str
    resolution: str
    start_ms: int
    last: float
    decay: float
    final: bool
    revision: int
    incomplete: bool


def step(state: Columns, windows: Columns) -> Columns:
    state["n"] += 1
    state["decay"] *= 0.5
    state["decay"] += windows["last"]
    return {"decay": np.where(state["n"] > 1, state["decay"], np.nan)}


DECAY = Recursion(
    of=FILLED,
    takes=("last",),
    state={"n": (INT, 0), "decay": (FLOAT, 0.0)},
    step=step,
    sink=INDICATORS,
    result=Decay,
    memory=2,
    resolutions=("1s", "3s"),
)


class Followed(Snapped):
    """A shard whose windows are followed; its next owner goes on from a snapshot, or from where it was first read."""

    def _following(self) -> Derived:
        return Derived(FILLED, [DECAY], Settings())

    def restart(self) -> None:
        if self.snapshot is not None:
            super().restart()
            return
        self._flush_all()
        read = len(self.log)
        _, views = self.windows.checkpoint(0, read)
        self.windows = self._make()
        assert self.windows.assign(0, views, read, fresh=True) == []
        for at in range(read):
            self.windows.apply_frame(0, at, self.log[at])
            assert self.flush() == {}
        self.windows.start_publishing(0)

    def decays(self, *frames: Frame) -> dict[tuple[str, int], tuple[float, int]]:
        """Hear frames, and publish; return what came for source s: by resolution and start, value and revision."""
        self.says(*frames)
        return {
            (one.resolution, one.start_ms - HOUR_MS): (one.decay, one.revision)
            for one in self.news.values()
            if one.source == "s"
        }


def test_each_window_follows_from_those_before_it() -> None:
    shard = Followed()
    # Ends 1 s at 0: the first, of which there is nothing to tell.
    assert shard.decays(frame(1, upsert(0, 4.0, 8.0), lanes={"s": 1000})) == {}
    # Ends 1 s at 1000 and at 2000, and 3 s at 0.
    came = shard.decays(frame(2, upsert(1000, 2.0, first_id=3), upsert(2000, 1.0, first_id=4), lanes={"s": 3000}))
    assert came == {("1s", 1000): (8.0 / 2 + 2.0, 3), ("1s", 2000): ((8.0 / 2 + 2.0) / 2 + 1.0, 4)}
    # Seconds without events are no steps. Ends 1 s at 5000, and 3 s at 3000.
    came = shard.decays(frame(3, upsert(5000, 5.0, first_id=5), lanes={"s": 6000}))
    assert came == {("1s", 5000): (4.0 / 2 + 5.0, 5), ("3s", 3000): (1.0 / 2 + 5.0, 5)}
    assert shard.derived[f"A|s|3s|{HOUR_MS + 3000}|decay"] == Decay(
        symbol="A",
        source="s",
        resolution="3s",
        start_ms=HOUR_MS + 3000,
        last=5.0,
        decay=5.5,
        final=True,
        revision=5,
        incomplete=False,
    )
    assert shard.decays() == {}


def test_series_are_apart() -> None:
    shard = Followed()
    shard.says(frame(1, upsert(0, 1.0), upsert(0, 2.0, symbol="B"), upsert(0, 3.0, source="t"), lanes={"s": 0, "t": 0}))
    later = upsert(1000, 1.0), upsert(1000, 2.0, symbol="B"), upsert(1000, 3.0, source="t")
    shard.says(frame(2, *later, lanes={"s": 2000, "t": 2000}))
    values = {key: one.decay for key, one in shard.derived.items()}
    assert values == {
        f"{name}|1s|{HOUR_MS + 1000}|decay": value
        for name, value in (("A|s", 1.5), ("A|t", 4.5), ("A|all", 4.5), ("B|s", 3.0), ("B|all", 3.0))
    }


def test_windows_that_are_filled_are_steps() -> None:
    shard = Followed(fill=True)
    shard.says(frame(1, upsert(0, 8.0), lanes={"s": 1000}))
    # Ends 1 s at 1000 and 2000, with nothing in them.
    assert shard.decays(frame(2, lanes={"s": 3000})) == {("1s", 1000): (12.0, 1), ("1s", 2000): (14.0, 1)}
    # Ends 1 s at 3000 (nothing), and 4000.
    came = shard.decays(frame(3, upsert(4000, 1.0, first_id=2), lanes={"s": 5000}))
    assert came == {("1s", 3000): (15.0, 1), ("1s", 4000): (8.5, 2)}


def test_a_correction_redoes_what_follows() -> None:
    shard = Followed()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    some = upsert(0, 8.0), upsert(1000, 4.0, first_id=2), upsert(2000, 2.0, first_id=3)
    # Ends 1 s at 0 to 2000, for the other lane is idle.
    first = shard.decays(frame(2, *some, lanes={"s": 3000}, partitions=2))
    assert first == {("1s", 1000): (8.0, 2), ("1s", 2000): (6.0, 3)}
    # It wakes, with a value for the second window: what was before stands.
    woken = frame(2, upsert(1000, 6.0, 6.0, first_id=9), lanes={"s": 900}, partition=1, partitions=2)
    assert shard.decays(woken) == {("1s", 1000): (10.0, 4), ("1s", 2000): (7.0, 5)}
    # A window that had none, before the others.
    woken = frame(3, upsert(-1000, 16.0, first_id=20), lanes={"s": 950}, partition=1, partitions=2)
    assert shard.decays(woken) == {}, "its lane has passed it"


def test_a_window_that_comes_late_takes_its_place() -> None:
    shard = Followed()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    shard.decays(frame(2, upsert(0, 8.0), upsert(2000, 2.0, first_id=2), lanes={"s": 3000}, partitions=2))
    woken = frame(2, upsert(1000, 4.0, first_id=9), lanes={"s": 900}, partition=1, partitions=2)
    assert shard.decays(woken) == {("1s", 1000): (8.0, 2), ("1s", 2000): (6.0, 3)}


def test_only_what_may_be_corrected_is_kept() -> None:
    shard = Followed(horizon_ms=3000)
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(9)]
    shard.says(frame(2, *some, lanes={"s": 9000}, partitions=2))
    (kept,) = shard.windows.state(0).derived.values()
    # All is folded to 6000: the window that ends there, and three that end after it; two of 3 s.
    assert sorted(kept.series) == sorted(
        ("A", source, resolution, n) for source in ("s", "all") for resolution, n in (("1s", 4), ("3s", 2))
    )
    shard.says(frame(3, lanes={"s": 9000}, partition=1, partitions=2))
    (kept,) = shard.windows.state(0).derived.values()
    assert {n for *_, n in kept.series} == {1}


def test_what_is_incomplete_marks_what_follows_for_as_long_as_it_shows() -> None:
    shard = Followed()
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(6)]
    shard.apply_frames(frame(1, *some, lanes={"s": 0}), frame(2, lanes={"s": 0}, incomplete=(2000, 2500)))
    shard.says(frame(3, lanes={"s": 6000}))
    marked = [one.start_ms - HOUR_MS for one in shard.derived.values() if one.incomplete and one.resolution == "1s"]
    assert sorted(marked) == [2000, 2000, 3000, 3000]


def test_without_its_past_a_series_begins_anew_and_says_so() -> None:
    shard = Followed()
    shard.says(frame(1, upsert(0, 8.0), lanes={"s": 1000}))
    _, views = shard.windows.checkpoint(0, 1)
    shard.windows = shard._make()
    assert shard.windows.assign(0, views, 1, fresh=False) == ["indicators/decay"]
    shard.windows.start_publishing(0)
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(1, 5)]
    # Ends 1 s at 1000 to 4000.
    assert shard.decays(frame(2, *some, lanes={"s": 5000})) == {
        ("1s", 2000): (1.5, 2),
        ("1s", 3000): (1.75, 3),
        ("1s", 4000): (1.875, 4),
    }
    marked = {one.start_ms - HOUR_MS: one.incomplete for one in shard.derived.values() if one.source == "s"}
    assert marked == {2000: True, 3000: False, 4000: False}


def expected(windows: Mapping[Identity, tuple[int, float, float]]) -> dict[str, tuple[float, int]]:
    """Find value and revision of every window but the first of each series, in plain Python."""
    series: dict[tuple[str, str, str], list[tuple[int, int, float]]] = {}
    for (source, resolution, start, symbol), (count, _, last) in windows.items():
        series.setdefault((symbol, source, resolution), []).append((start, count, last))
    found = {}
    for key, some in series.items():
        value, events = 0.0, 0
        for place, (start, count, last) in enumerate(sorted(some)):
            value, events = value / 2 + last, events + count
            if place:
                found["|".join((*key, str(HOUR_MS + start), "decay"))] = value, events
    return found


@settings(max_examples=200)
@given(shards(), st.data())
def test_owners_that_come_and_go_publish_what_plain_python_finds(
    drawn: tuple[list[Log], list[Frame]], data: st.DataObject
) -> None:
    partitions, frames = drawn
    shard = Followed()
    for one in frames:
        shard.apply_frames(one)
        shard.befall(data.draw(st.sampled_from(["go on", "go on", "flush", "snap", "restart", "restart"])))
    shard.flush()
    # A source that joins behind what all sources have folded is missing there, and told: another test has that.
    assume(not shard.all_late())
    windows = windows_of(partitions)
    assert {key: (one.decay, one.revision) for key, one in shard.derived.items()} == expected(windows)
    assert not any(one.incomplete for one in shard.derived.values())
    assert {key: (w.count, w.total, w.last) for key, w in shard.holds.items()} == windows
    (kept,) = shard.windows.state(0).derived.values()
    assert all(n == 1 for *_, n in kept.series)


def test_what_the_last_owner_published_is_not_published_again() -> None:
    shard = Followed()
    shard.says(frame(1, upsert(0, 8.0), lanes={"s": 1000}))
    shard.snap()
    shard.says(frame(2, upsert(1000, 4.0, first_id=2), lanes={"s": 2000}))
    shard.restart()
    assert shard.flush() == {("s", "3s", 0, "A"): (2, 12.0, False), ("all", "3s", 0, "A"): (2, 12.0, False)}
    assert shard.news == {}
    assert shard.decays(frame(3, upsert(2000, 1.0, first_id=3), lanes={"s": 3000})) == {("1s", 2000): (5.0, 3)}


def test_rows_are_used_again() -> None:
    arena = Arena({"x": (INT, 0)}, capacity=4)
    rows = arena.rows(3)
    arena.release(rows[:2])
    assert len(arena) == 1
    used = [*arena.rows(2), *arena.rows(5), rows[2]]
    assert len(set(used)) == len(arena) == 8
    assert len(arena.columns["x"]) > max(used)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (Settings(resolutions={"decay": ["1s", "2s"]}), "indicators/decay: bars has no resolution 2s; it has 1s, 3s"),
        (Settings(resolutions={"ama": ["1s"]}), "setting: resolutions.ama: unknown name; the names are decay"),
    ],
)
def test_settings_that_name_what_is_not_there(settings: Settings, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        outputs_of([FILLED], [DECAY], settings)


def test_the_settings_say_which_windows() -> None:
    following = Derived(FILLED, [DECAY], Settings(resolutions={"decay": ["3s"]}))
    windows = Windows(FILLED, slice_ms=1000, horizon_ms=FAR_HORIZON_MS, epoch=EPOCH, derived=following)
    windows.assign(0, Views(), fresh=True)
    windows.start_publishing(0)
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(6)]
    windows.apply_frame(0, 0, frame(1, *some, lanes={"s": 6000}))
    found = {key.decode() for output, _, key, _ in windows.flush() if output.kind}
    assert found == {f"A|{source}|3s|{HOUR_MS + 3000}|decay" for source in ("s", "all")}


def test_a_step_hears_how_many_windows_on_it_is() -> None:
    heard: list[list[int]] = []

    def listen(state: Columns, windows: Columns) -> Columns:
        heard.append(windows["passed"].tolist())
        return step(state, windows)

    following = Derived(FILLED, [replace(DECAY, step=listen, resolutions=("1s",))], Settings())
    windows = Windows(FILLED, slice_ms=1000, horizon_ms=FAR_HORIZON_MS, epoch=EPOCH, derived=following)
    windows.assign(0, Views())
    windows.start_publishing(0)
    # Ends 1 s at 0, 1000 and 5000, of s and of all, which is the same series.
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in (0, 1, 5)]
    windows.apply_frame(0, 0, frame(1, *some, lanes={"s": 6000}))
    windows.flush()
    assert heard == [[0], [1], [4]]

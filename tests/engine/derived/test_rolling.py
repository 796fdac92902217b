"""Windows that slide along final windows: their folds merged, whatever comes late, and whoever goes on."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import astuple

from tests.engine.blocks import HOUR_MS, Log
from tests.engine.derived.test_fill import FILLED
from tests.engine.made_frames import Identity, frame, upsert
from tests.engine.recovery.test_snapshot import Snapped
from tests.engine.windows.test_windows import shards, windows_of
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.frame import Frame
from tickertape.schemas.topics import ROLLING
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.columns import Ints
from tickertape.stream.engine.core.results import Finals
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import FLOAT, INT, Aggregate, Reducer, Sum
from tickertape.stream.engine.define.recipes import Rolling
from tickertape.stream.engine.derived.derived import Derived, outputs_of
from tickertape.stream.engine.derived.rolling import RollingSeries
from tickertape.stream.engine.recovery.state import Kept
from tickertape.stream.errors import ConfigError


class Order(Reducer):
    """The first and the last value, and the sum of what lies between one and the next: it tells the order."""

    def __init__(self) -> None:
        self.schema = {"first": (FLOAT, 0.0), "latest": (FLOAT, 0.0), "way": (FLOAT, 0.0)}

    def merge(self, into: Columns, rows: Ints, partials: Columns) -> None:
        for i, row in enumerate(rows.tolist()):
            if not partials["latest"][i]:
                continue
            if into["latest"][row]:
                into["way"][row] += abs(partials["first"][i] - into["latest"][row])
            else:
                into["first"][row] = partials["first"][i]
            into["way"][row] += partials["way"][i]
            into["latest"][row] = partials["latest"][i]


class TickRolling(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (Sum("total"), Sum("count", INT), Order())

    def lift(self, events: Columns) -> Columns:
        return events | {"first": events["last"], "latest": events["last"], "way": np.zeros(len(events["last"]))}


class Slid(Struct):
    total: float
    count: int
    way: float


SLIDING = Rolling(
    of=FILLED, kind="ticks", takes=("last", "total", "count"), aggregate=TickRolling(), sink=ROLLING, metrics=Slid
)
WIDTHS = {"2s": 2000, "3s": 3000, "7s": 7000}
SETTINGS = Settings(rolling_ms=WIDTHS)


class Sliding(Snapped):
    """A shard whose windows of 1 s are slid along; its next owner goes on from a snapshot."""

    def _following(self) -> Derived:
        return Derived(FILLED, [SLIDING], SETTINGS)

    def slid(self, *frames: Frame) -> dict[int, Any]:
        """Hear frames, and publish; return what came for source s, by start."""
        self.says(*frames)
        return {one.start_ms - HOUR_MS: one for one in self.news.values() if one.source == "s"}


def test_each_second_ends_windows_of_every_width() -> None:
    shard = Sliding()
    some = [upsert(1000 * i, float(2**i), first_id=i + 1) for i in range(4)]
    # Ends 1 s at 0 to 3000.
    came = shard.slid(frame(1, *some, lanes={"s": 4000}))
    assert [came[start].total_2s for start in (0, 1000, 2000, 3000)] == [1.0, 3.0, 6.0, 12.0]
    assert [came[start].total_3s for start in (0, 1000, 2000, 3000)] == [1.0, 3.0, 7.0, 14.0]
    assert [came[start].total_7s for start in (0, 1000, 2000, 3000)] == [1.0, 3.0, 7.0, 15.0]
    assert [came[start].way_3s for start in (0, 1000, 2000, 3000)] == [0.0, 1.0, 3.0, 6.0]
    assert {(one.resolution, one.final, one.incomplete) for one in came.values()} == {("1s", True, False)}
    assert [came[start].revision for start in (0, 1000, 2000, 3000)] == [1, 2, 3, 4]
    assert f"A|s|1s|{HOUR_MS}|ticks" in shard.derived


def test_seconds_without_events_end_none_and_are_passed_over() -> None:
    shard = Sliding(fill=True)
    # Ends 1 s at 0 to 5000; there are events in those at 0 and 5000.
    came = shard.slid(frame(1, upsert(0, 1.0), upsert(5000, 8.0, first_id=2), lanes={"s": 6000}))
    assert {start: (one.total_3s, one.total_7s, one.way_7s) for start, one in came.items()} == {
        0: (1.0, 1.0, 0.0),
        5000: (8.0, 9.0, 7.0),
    }


def test_a_correction_redoes_all_that_reach_back_to_it() -> None:
    shard = Sliding()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(6)]
    first = shard.slid(frame(2, *some, lanes={"s": 6000}, partitions=2))
    assert [first[1000 * i].total_3s for i in range(6)] == [1.0, 2.0, 3.0, 3.0, 3.0, 3.0]
    # The idle lane wakes, with a value for the second second.
    woken = frame(2, upsert(1000, 16.0, first_id=9), lanes={"s": 900}, partition=1, partitions=2)
    again = shard.slid(woken)
    assert {start: (one.total_3s, one.total_7s) for start, one in again.items()} == {
        1000: (18.0, 18.0),
        2000: (19.0, 19.0),
        3000: (19.0, 20.0),
        4000: (3.0, 21.0),
        5000: (3.0, 22.0),
    }


def test_what_is_incomplete_marks_all_that_reach_back_to_it() -> None:
    shard = Sliding()
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(12)]
    shard.apply_frames(frame(1, *some, lanes={"s": 0}), frame(2, lanes={"s": 0}, incomplete=(2000, 2500)))
    came = shard.slid(frame(3, lanes={"s": 12_000}))
    assert [start for start, one in came.items() if one.incomplete] == [1000 * i for i in range(2, 9)]


def test_without_its_past_a_window_says_so_until_it_is_whole() -> None:
    shard = Sliding()
    shard.windows = shard._make()
    assert shard.windows.assign(0, Views(), fresh=False) == ["rolling/ticks"]
    shard.windows.start_publishing(0)
    some = [upsert(1000 * i, 1.0, first_id=i + 1) for i in range(12)]
    came = shard.slid(frame(1, *some, lanes={"s": 12_000}))
    assert [start for start, one in came.items() if one.incomplete] == [1000 * i for i in range(6)]


def expected(windows: Mapping[Identity, tuple[int, float, float]]) -> dict[str, tuple[Any, ...]]:
    """Find what all windows hold in plain Python: total, count and way of each width."""
    seconds: dict[tuple[str, str], list[tuple[int, int, float, float]]] = {}
    for (source, resolution, start, symbol), (count, total, last) in windows.items():
        if resolution == "1s":
            seconds.setdefault((symbol, source), []).append((start, count, total, last))
    found = {}
    for (symbol, source), some in seconds.items():
        some.sort()
        for end, *_ in some:
            row: list[Any] = []
            for width_ms in WIDTHS.values():
                mine = [one for one in some if end + 1000 - width_ms <= one[0] <= end]
                lasts = [last for *_, last in mine]
                way = sum(abs(b - a) for a, b in pairwise(lasts))
                row += [sum(total for _, _, total, _ in mine), sum(count for _, count, *_ in mine), way]
            found[f"{symbol}|{source}|1s|{HOUR_MS + end}|ticks"] = tuple(row)
    return found


@settings(max_examples=200)
@given(shards(), st.data())
def test_owners_that_come_and_go_publish_what_plain_python_finds(
    drawn: tuple[list[Log], list[Frame]], data: st.DataObject
) -> None:
    partitions, frames = drawn
    shard, alone = Sliding(), Sliding()
    for one in frames:
        shard.apply_frames(one)
        alone.apply_frames(one)
        shard.befall(data.draw(st.sampled_from(["go on", "go on", "flush", "snap", "snap", "restart"])))
    shard.flush()
    alone.flush()
    assume(not shard.all_late() and not alone.all_late())
    wanted = expected(windows_of(partitions))
    assert shard.derived.keys() == wanted.keys()
    for key, one in shard.derived.items():
        row = [getattr(one, f"{name}_{width}") for width in WIDTHS for name in ("total", "count", "way")]
        assert row == pytest.approx(wanted[key], rel=1e-12, abs=1e-12)
        assert not one.incomplete
    # To the last bit, whoever has made it, and however often it was corrected.
    assert {key: astuple(one) for key, one in shard.derived.items()} == {
        key: astuple(one) for key, one in alone.derived.items()
    }


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 40, 200]))
def test_however_many_come_at_once(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    shard, windows, at = Sliding(), {}, 0
    while at < 400:
        seconds = range(at, at := at + int(rng.integers(1, most + 1)))
        some = []
        for second in seconds:
            for symbol in "ABCDE":
                if rng.random() < 0.6:
                    value = float(rng.integers(1, 100))
                    some.append(upsert(1000 * second, value, first_id=second, symbol=symbol))
                    windows |= dict.fromkeys(
                        [(name, "1s", 1000 * second, symbol) for name in ("s", "all")], (1, value, value)
                    )
        shard.says(frame(at, *some, lanes={"s": 1000 * at}))
        if rng.random() < 0.1:
            shard.snap()
            shard.restart()
    found = {
        key: tuple(getattr(one, f"{name}_{width}") for width in WIDTHS for name in ("total", "count", "way"))
        for key, one in shard.derived.items()
    }
    assert found == expected(windows)


def test_only_what_a_window_may_reach_back_to_is_kept() -> None:
    shard = Sliding()
    for i in range(300):
        shard.says(frame(i + 1, upsert(1000 * i, 1.0, first_id=i + 1), lanes={"s": 1000 * (i + 1)}))
    (kept,) = shard.windows.state(0).derived.values()
    assert sorted(kept.series) == [("A", "all", "1s", 7), ("A", "s", "1s", 7)]
    ((_, follower),) = shard.windows._post_processors[-1]._followers  # type: ignore[attr-defined]  # its only post-processor
    # `all` has those of the only source.
    assert len(follower._arena) == 7


def test_a_width_that_does_not_fit_is_told_of() -> None:
    wrong = r"setting: rolling_ms.odd is 1500: it has to be a multiple of 1000 ms, the finest resolution of bars"
    with pytest.raises(ConfigError, match=wrong):
        outputs_of([FILLED], [SLIDING], Settings(rolling_ms={"odd": 1500}))


def test_a_snapshot_of_the_version_before_blocks_is_read() -> None:
    follower = RollingSeries(SLIDING, WIDTHS)
    # Each second from 10 to 14 has a window; that at 11 is incomplete, and so is what reaches back to it.
    starts_ms = np.arange(10_000, 15_000, 1000)
    columns = {
        "last": np.arange(5.0),
        "total": np.arange(5.0),
        "count": np.ones(5, np.int64),
        "incomplete": starts_ms == 11_000,
        "spoiled_ms": np.array([-(2**62), 11_000, 11_000, 11_000, 11_000]),
    }
    stored = {name: column.tobytes() for name, column in columns.items()}
    names = "('last', '<f8', ()), ('total', '<f8', ()), ('count', '<i8', ()), ('incomplete', '|b1', ()), "
    form = f"rolling/ticks [('1s', 1000)] [{names}('spoiled_ms', '<i8', ())] [2000, 3000, 7000]"
    state = Kept([("A", "s", "1s", 5)], starts_ms.tobytes(), stored, anew=False)
    assert follower.earlier_form == form
    assert follower.form != form
    follower.assign(0, state, anew=False)
    taken = {"last": 5.0, "total": 5.0, "count": 1, "revision": 1, "incomplete": False, "width_ms": 1000}
    for at, incomplete in ((15, True), (17, True), (18, False)):
        come = {name: np.array([value]) for name, value in taken.items()}
        finals = Finals([("A", "s", "1s", 1000 * at)], np.zeros(1, np.int64), come)
        (made,) = (one.columns for one, _ in [follower.follow(finals, Unsettled())])
        assert made["incomplete"].tolist() == [incomplete]
        if at == 15:
            # 0 + 1 + 2 + 3 + 4 + 5, of 10 to 15.
            assert made["total_7s"].tolist() == [15.0]


class Unsettled:
    def settled_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - nothing is settled
        return 0

    def published_ms(self, shard: int, source: str) -> int:  # noqa: ARG002 - nothing was published
        return 0

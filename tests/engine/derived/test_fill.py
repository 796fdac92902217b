"""Windows without events, filled; a window ends, and is filled, once a frame's frontier reaches its end."""

import asyncio
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.blocks import EPOCH, HOUR_MS, Log
from tests.engine.made_frames import FAR_HORIZON_MS, WINDOWING, Identity, Shard, Window, frame, upsert
from tests.engine.windows.test_agent import SHARD, World, encode
from tests.engine.windows.test_windows import shards, windows_of
from tickertape.agents.market.bars import TRADE_BARS, Bar
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from tickertape.schemas.frame import Frame
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.workload import Workload
from tickertape.stream.engine.derived import fill
from tickertape.stream.engine.windows.agent import WindowAgent
from tickertape.stream.engine.windows.windows import Windows

FILLED = replace(WINDOWING, fill={"last": "last"})
RESOLUTIONS = {"1s": 1000, "3s": 3000}


def owned(
    saved: Views | None = None, *, settled: bool = True, horizon_ms: int, fill: bool = True, upto: int = 0
) -> Windows:
    windows = Windows(FILLED, slice_ms=1000, horizon_ms=horizon_ms, epoch=EPOCH, fill=fill)
    windows.assign(0, saved or Views(), upto)
    if settled:
        windows.start_publishing(0)
    return windows


class Filling(Shard):
    """A shard whose owners fill; they read again from what a commit of theirs says."""

    def __init__(self, horizon_ms: int = FAR_HORIZON_MS, *, fill: bool = True) -> None:
        super().__init__(horizon_ms)
        self.windows = owned(horizon_ms=horizon_ms, fill=fill)

    def all(self, *frames: Frame) -> dict[Identity, float]:
        """Hear frames, and publish; return the closes of the windows without events that came."""
        came = self.says(*frames)
        return {identity: self.holds[identity].last for identity, (count, *_) in came.items() if not count}

    def one(self, *frames: Frame) -> dict[tuple[str, int], float]:
        """Return the same of source s, by resolution and start."""
        return {(width, start): last for (source, width, start, _), last in self.all(*frames).items() if source == "s"}

    def restart(self) -> None:
        self.flush()
        while self.windows.lags:
            self.flush()
        self.all_late()
        read = len(self.log)
        offset, views = self.windows.checkpoint(0, read)
        offset = min(offset, self.windows.post_processors_need(0, read))
        metadata = to_metadata(WindowCheckpoint(upto=read, topics={"trades": views}))
        known = windows_from(metadata).topics["trades"]
        self.windows = owned(known, settled=False, horizon_ms=self._horizon_ms, upto=read)
        for at in range(offset, read):
            self.windows.apply_frame(0, at, self.log[at])
            assert self.flush() == {}, "nothing is published before all is known again"
        self.windows.start_publishing(0)


def test_nothing_is_filled_by_default() -> None:
    shard = Filling(fill=False)
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 0}))
    assert shard.all(frame(2, lanes={"s": 9000})) == {}
    assert not shard.windows.lags


def test_a_gap_is_filled_as_the_frontier_passes_it() -> None:
    shard = Filling()
    shard.says(frame(1, upsert(0, 1.5, 2.0), lanes={"s": 0}))
    # Ends 1 s at 0, which is real.
    assert shard.one(frame(2, lanes={"s": 1999})) == {}
    # Ends 1 s at 1000.
    assert shard.one(frame(3, lanes={"s": 2000})) == {("1s", 1000): 2.0}
    assert shard.one(frame(4, lanes={"s": 2999})) == {}
    # Ends 1 s at 2000 to 4000; 3 s at 0 is real.
    assert shard.one(frame(5, lanes={"s": 5000})) == dict.fromkeys([("1s", 2000), ("1s", 3000), ("1s", 4000)], 2.0)
    # Ends 1 s at 5000, and 3 s at 3000.
    assert shard.one(frame(6, lanes={"s": 6000})) == {("1s", 5000): 2.0, ("3s", 3000): 2.0}
    assert shard.holds["s", "3s", 3000, "A"] == Window(
        symbol="A",
        source="s",
        resolution="3s",
        start_ms=HOUR_MS + 3000,
        count=0,
        total=0.0,
        last=2.0,
        missing=0,
        final=True,
        revision=0,
        incomplete=False,
    )
    assert shard.flush() == {}


def test_a_gap_between_two_windows_carries_the_first_of_them() -> None:
    shard = Filling()
    shard.says(frame(1, upsert(0, 1.0), upsert(3000, 2.0, first_id=2), lanes={"s": 0}))
    # Ends 1 s at 0 to 5000, and 3 s at 0 and 3000.
    assert shard.one(frame(2, lanes={"s": 6000})) == {
        ("1s", 1000): 1.0,
        ("1s", 2000): 1.0,
        ("1s", 4000): 2.0,
        ("1s", 5000): 2.0,
    }


def test_results_and_what_fills_them_come_in_time_order() -> None:
    shard = Filling()
    shard.apply_frames(frame(1, upsert(0, 1.0), upsert(3000, 2.0, first_id=2), lanes={"s": 6000}))
    came = [msgspec.json.decode(value, type=Window) for _, _, _, value in shard.windows.flush()]
    ends = [window.start_ms + RESOLUTIONS[window.resolution] for window in came]
    assert len(ends) == 2 * (6 + 2)
    assert ends == sorted(ends)


def test_nothing_is_filled_before_the_first_window() -> None:
    shard = Filling()
    shard.says(frame(1, lanes={"s": 4000}))
    # Ends 1 s at 7000, and 3 s at 6000, whose first is that at 6000.
    assert shard.one(frame(2, upsert(6000, 1.0), lanes={"s": 9000})) == {("1s", 7000): 1.0, ("1s", 8000): 1.0}


def test_all_is_filled_where_no_source_has_events() -> None:
    shard = Filling()
    lanes = {"s": 4000, "t": 4000}
    # Ends 1 s at 0 to 3000 of both.
    came = shard.all(frame(1, upsert(0, 1.0), upsert(1000, 2.0, source="t"), lanes=lanes))
    assert came == {
        ("s", "1s", 1000, "A"): 1.0,
        ("s", "1s", 2000, "A"): 1.0,
        ("s", "1s", 3000, "A"): 1.0,
        ("t", "1s", 2000, "A"): 2.0,
        ("t", "1s", 3000, "A"): 2.0,
        ("all", "1s", 2000, "A"): 2.0,
        ("all", "1s", 3000, "A"): 2.0,
    }
    # s ends 1 s at 4000, t nothing: all waits for it.
    came = shard.all(frame(2, lanes={"s": 5000, "t": 4000}))
    assert came == {("s", "1s", 4000, "A"): 1.0}


def test_a_correction_fills_anew_what_follows_it() -> None:
    shard = Filling()
    shard.apply_frames(frame(1, lanes={"s": -500}, partition=1, partitions=2, idle="s"))
    # Ends 1 s at 0 to 3000; 3 s at 0.
    came = shard.one(frame(1, upsert(0, 1.0), lanes={"s": 4000}, partitions=2))
    assert came == {("1s", 1000): 1.0, ("1s", 2000): 1.0, ("1s", 3000): 1.0}
    # Partition 1 wakes: its tick is the later of the second at 0, and there is one at 2000 after all.
    woken = frame(2, upsert(0, 7.0, 2.0, first_id=2), lanes={"s": 0}, partition=1, partitions=2, idle="s")
    assert shard.one(woken) == {("1s", 1000): 2.0, ("1s", 2000): 2.0, ("1s", 3000): 2.0}
    woken = frame(3, upsert(2000, 3.0, first_id=9), lanes={"s": 0}, partition=1, partitions=2, idle="s")
    assert shard.one(woken) == {("1s", 3000): 3.0}
    assert (shard.holds["s", "1s", 2000, "A"].count, shard.holds["s", "1s", 1000, "A"].last) == (1, 2.0)
    # Ends 1 s at 4000 and 5000, and 3 s at 3000.
    assert shard.one(frame(2, lanes={"s": 6000}, partitions=2)) == {
        ("1s", 4000): 3.0,
        ("1s", 5000): 3.0,
        ("3s", 3000): 3.0,
    }


def test_the_next_owner_fills_on_though_the_last_event_is_long_ago() -> None:
    shard = Filling()
    # B speaks on; A's only slice is frame 0's.
    shard.says(frame(1, upsert(0, 1.0, 4.0), lanes={"s": 1000}))
    for upto in range(2, 40):
        at = 1000 * upto
        shard.says(frame(upto, upsert(at, 9.0, symbol="B"), lanes={"s": at}))
    assert shard.windows.checkpoint(0, len(shard.log))[0] > 30
    assert shard.windows.post_processors_need(0, len(shard.log)) == 0
    shard.restart()
    assert shard.windows.late() == []
    # 39 s: 1 s at 38 000 is done; 3 s at 36 000 too.
    shard.flush()
    shard.restart()
    # Ends 1 s at 39 000 to 41 000, and 3 s at 39 000.
    came = shard.all(frame(50, lanes={"s": 42_000}))
    of_a = {identity[:3]: last for identity, last in came.items() if identity[3] == "A"}
    assert of_a == {
        (source, *window): 4.0
        for source in ("s", "all")
        for window in [("1s", 39_000), ("1s", 40_000), ("1s", 41_000), ("3s", 39_000)]
    }


def test_a_commit_goes_back_to_the_last_slice_that_is_done_and_no_further() -> None:
    shard = Filling()
    for upto in range(10):
        shard.says(frame(upto, upsert(1000 * upto, 1.0), lanes={"s": 1000 * upto}))
    # The frontier is 9000: the slice at 8000 is done, frame 8 has it.
    assert shard.windows.post_processors_need(0, len(shard.log)) == 8


def test_the_next_owner_knows_what_comes_before_a_slice_that_is_open() -> None:
    shard = Filling()
    shard.says(frame(1, upsert(0, 1.0), lanes={"s": 3000}), frame(2, upsert(9000, 2.0), lanes={"s": 4000}))
    shard.restart()
    # Ends 1 s at 4000 to 9000, and 3 s at 3000 and 6000.
    assert shard.one(frame(3, lanes={"s": 10_000})) == dict.fromkeys(
        [*(("1s", start) for start in range(4000, 9000, 1000)), ("3s", 3000), ("3s", 6000)], 1.0
    )


def test_the_next_owner_merges_the_shares_of_the_last_slice() -> None:
    shard = Filling()
    lanes = {"s": 6000, "t": 6000}
    # The greatest time is that of the last of three ticks: s on partition 1; of t it is 2.0.
    shard.says(
        frame(1, upsert(0, 1.0, 1.0, 5.0), lanes=lanes, partition=1, partitions=2),
        frame(1, upsert(0, 3.0), upsert(0, 2.0, 2.0, source="t"), lanes=lanes, partitions=2),
    )
    shard.restart()
    shard.flush()
    # Ends 1 s at 6000.
    lanes = {"s": 7000, "t": 7000}
    came = shard.all(frame(2, lanes=lanes, partition=1, partitions=2), frame(2, lanes=lanes, partitions=2))
    assert came == {("s", "1s", 6000, "A"): 5.0, ("t", "1s", 6000, "A"): 2.0, ("all", "1s", 6000, "A"): 5.0}


def test_a_long_gap_is_filled_in_several_flushes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "FILLED_RECORDS", 4)
    shard = Filling()
    # Ends 1 s at 0 to 5000, and 3 s at 0 and 3000: of s and of all, 6 to fill each.
    sizes = [len(shard.all(frame(1, upsert(0, 1.0), lanes={"s": 6000})))]
    while shard.windows.lags:
        assert shard.windows.lags
        sizes.append(len(shard.all()))
    assert sizes == [4, 4, 4]
    assert not shard.windows.lags
    assert len(shard.holds) == 2 * (6 + 2)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(monkeypatch)
    agent = WindowAgent([FILLED], Settings(fill=True), world, {"bars": 4}, lambda _: None, Workload())  # type: ignore[arg-type]  # it puts
    monkeypatch.setattr(agent._pace, "ask", lambda *_: None)
    world.agent = agent
    world.restore()
    return world


def test_nothing_is_committed_until_all_is_filled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[None] = []
    monkeypatch.setattr(world.agent._pace, "again", lambda: asked.append(None))
    monkeypatch.setattr(fill, "FILLED_RECORDS", 8)
    # Ends 1 s at 0 to 5000, and 3 s at 0 and 3000: of s and of all, 6 to fill each.
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 6000})))
    assert world.agent.checkpoint() == {}
    assert len(asked) == 1
    offset, metadata = world.agent.checkpoint()[SHARD]
    assert len(asked) == 1
    # The frame is needed to fill on, but by no open window.
    assert (offset, windows_from(metadata).needed) == (0, 1)


def test_retention_may_take_what_only_fills(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 6000})))
    offset, metadata = world.agent.checkpoint()[SHARD]
    assert world.restore(offset, metadata, begin=1) == 1
    assert world.bars() == []
    # Ends 1 s at 7000; the gap's symbol is known again from there on.
    world.read(encode(frame(2, upsert(7000, 1.0), lanes={"s": 9000})))
    assert world.bars() == [("A", "1s", True, 0), ("A", "1s", True, 1), ("A", "3s", True, 1)]
    assert "retention deleted" not in caplog.text


def test_what_is_left_to_fill_follows_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "FILLED_RECORDS", 8)
    world.read(encode(frame(1, upsert(0, 1.0), lanes={"s": 6000})))

    async def flush() -> None:
        world.agent.flush()
        # Ends 1 s at 0 to 5000, and 3 s at 0 and 3000: of s and of all, 2 real and 6 to fill each.
        assert len(world.put_records) == 4 + 8
        # It is due long before.
        await asyncio.sleep(0.3)

    asyncio.run(flush())
    assert len(world.put_records) == 4 + 12


def test_a_bar_without_trades() -> None:
    windows = Windows(TRADE_BARS, slice_ms=1000, horizon_ms=60_000, epoch=EPOCH, fill=True)
    windows.assign(0, Views())
    windows.start_publishing(0)
    first = TRADE_SLICES.aggregate.lift(
        {
            "time_ms": np.array([HOUR_MS + 100, HOUR_MS + 200]),
            "id": np.array([1, 2]),
            "price": np.array([10.0, 12.0]),
            "quantity": np.array([1.0, 3.0]),
            "buy": np.array([True, False]),
            "unsided": np.array([False, False]),
            "sequence": np.array([0, 0]),
            "more_trades": np.array([0, 0]),
        }
    )
    trades = {name: np.full(1, start, of) for name, (of, start) in TRADE_SLICES.aggregate.schema.items()}
    TRADE_SLICES.aggregate.merge(trades, np.zeros(2, np.int64), first)
    names = {"source": np.zeros(1, "<u4"), "symbol": np.zeros(1, "<u4"), "slice_ms": np.array([HOUR_MS])}
    columns = {name: column.tobytes() for name, column in (names | trades).items()}
    # Ends 1 s at 0 and 1000.
    said = msgspec.structs.replace(frame(1, lanes={"s": 2000}), columns=columns, sources=["s"], symbols=["A"])
    windows.apply_frame(0, 0, said)
    bars = [msgspec.json.decode(value, type=Bar) for _, _, _, value in windows.flush()]
    assert [bar for bar in bars if (bar.source, bar.start_ms) == ("s", HOUR_MS + 1000)] == [
        Bar(
            symbol="A",
            source="s",
            resolution="1s",
            start_ms=HOUR_MS + 1000,
            open=12.0,
            high=12.0,
            low=12.0,
            close=12.0,
            open_ms=HOUR_MS + 200,
            close_ms=HOUR_MS + 200,
            volume=0.0,
            notional=0.0,
            vwap=12.0,
            count=0,
            buy_volume=0.0,
            buy_share=0.0,
            largest=0.0,
            realised_volatility=0.0,
            missing=0,
            final=True,
            revision=0,
            incomplete=False,
            trades=0,
        )
    ]


def filled(partitions: list[Log], final_ms: dict[str, int]) -> dict[Identity, tuple[int, float, float]]:
    """Find every window, filled ones too, in plain Python."""
    found = windows_of(partitions)
    for source, resolution, start, symbol in sorted(found, key=lambda identity: identity[2]):
        last = found[source, resolution, start, symbol][2]
        width_ms = RESOLUTIONS[resolution]
        at = start + width_ms
        while at + width_ms <= final_ms[source] and found.get((source, resolution, at, symbol), (0,))[0] == 0:
            found[source, resolution, at, symbol] = 0, 0.0, last
            at += width_ms
    return found


@settings(max_examples=80)
@given(shards(), st.sampled_from([3, 50, 20_000]), st.data())
def test_owners_that_come_and_go_fill_what_plain_python_fills(
    drawn: tuple[list[Log], list[Frame]], limit: int, data: st.DataObject
) -> None:
    partitions, frames = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fill, "FILLED_RECORDS", limit)
        shard = Filling()
        for one in frames:
            shard.apply_frames(one)
            match data.draw(st.sampled_from(["go on", "flush", "flush", "restart"])):
                case "flush":
                    shard.flush()
                case "restart":
                    shard.restart()
        shard.flush()
        while shard.windows.lags:
            shard.flush()
    assume(not shard.all_late())
    _, views = shard.windows.checkpoint(0, len(frames))
    final_ms = {source: at - HOUR_MS for source, at in views.final.items()}
    found = {key: (window.count, window.total, window.last) for key, window in shard.holds.items()}
    assert found == filled(partitions, final_ms)
    assert all(window.final for window in shard.holds.values())

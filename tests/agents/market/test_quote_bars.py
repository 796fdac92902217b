"""What a bar of quotes holds: by hand, and the area under the spread against plain Python."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.agents.market.quote_bars import QUOTE_BARS, SPREAD_AREA, QuoteBar, QuoteWindow
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows

HOUR_MS = 472_222 * 3_600_000

# Of (time, spread): closes of slices, one after the other; a spread may be zero or less.
closes = st.lists(st.tuples(st.integers(1, 3000), st.floats(-100, 2e4)), min_size=1, max_size=20).map(
    lambda steps: [(HOUR_MS + sum(gap for gap, _ in steps[: i + 1]), spread) for i, (_, spread) in enumerate(steps)]
)


def points(values: list[tuple[int, float]]) -> Columns:
    """Return slices that each have but one close."""
    return SPREAD_AREA.lift(
        {
            "close_ms": np.array([at for at, _ in values], np.int64),
            "spread_bps": np.array([spread for _, spread in values], np.float64),
        }
    )


def empty(rows: int = 1) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in SPREAD_AREA.schema.items()}


def area(values: list[tuple[int, float]]) -> float:
    return sum(spread * (until - at) for (at, spread), (until, _) in pairwise(values))


def test_rows_of_one_merge_are_steps_of_their_own() -> None:
    into = empty(2)
    SPREAD_AREA.merge(into, np.array([0, 1, 0, 1, 0]), points([(10, 2.0), (11, 7.0), (20, 3.0), (31, 0.0), (25, 9.0)]))
    assert into["first_close_ms"].tolist() == [10, 11]
    assert into["last_close_ms"].tolist() == [25, 31]
    assert into["last_spread_bps"].tolist() == [9.0, 0.0]
    assert into["spread_area"].tolist() == [2.0 * 10 + 3.0 * 5, 7.0 * 20]


@settings(max_examples=100)
@given(values=closes, data=st.data())
def test_any_split_in_time_order_is_what_plain_python_finds(
    values: list[tuple[int, float]], data: st.DataObject
) -> None:
    cuts = sorted({0, len(values), *data.draw(st.lists(st.integers(0, len(values)), max_size=4))})
    spans = list(pairwise(cuts))
    parts, whole = empty(len(spans)), empty()
    for row, (start, end) in enumerate(spans):
        SPREAD_AREA.merge(parts, np.full(end - start, row), points(values[start:end]))
    SPREAD_AREA.merge(whole, np.zeros(len(spans), np.int64), parts)
    assert whole["spread_area"][0] == pytest.approx(area(values), rel=1e-12, abs=1e-6)
    assert (whole["first_close_ms"][0], whole["last_close_ms"][0]) == (values[0][0], values[-1][0])
    assert whole["last_spread_bps"][0] == values[-1][1]


@settings(max_examples=60)
@given(values=closes, cut=st.integers(0, 20))
def test_where_closes_are_cut_changes_no_bit(values: list[tuple[int, float]], cut: int) -> None:
    once, twice = empty(), empty()
    SPREAD_AREA.merge(once, np.zeros(len(values), np.int64), points(values))
    for piece in (values[:cut], values[cut:]):
        SPREAD_AREA.merge(twice, np.zeros(len(piece), np.int64), points(piece))
    assert {name: column.tobytes() for name, column in once.items()} == {
        name: column.tobytes() for name, column in twice.items()
    }


def test_a_partial_that_holds_nothing_changes_nothing() -> None:
    into = empty()
    some = [points([(10, 2.0)]), empty(), points([(15, 4.0)])]
    SPREAD_AREA.merge(into, np.zeros(3, np.int64), {name: np.concatenate([one[name] for one in some]) for name in into})
    assert {name: column[0] for name, column in into.items()} == {
        "first_close_ms": 10,
        "first_spread_bps": 2.0,
        "last_close_ms": 15,
        "last_spread_bps": 4.0,
        "spread_area": 10.0,
    }


def record(at: int, number: int, bid: float, bids: float, ask: float, asks: float, source: str) -> bytes:
    sides = {"bid": bid, "bid_quantity": bids, "ask": ask, "ask_quantity": asks}
    fields = {"symbol": "BTC-USDT", "source": source, "id": number, "time_ms": HOUR_MS + at}
    return msgspec.json.encode(fields | sides | {"received_ms": HOUR_MS + at})


def made(records: list[bytes], *, fill: bool = False) -> dict[tuple[str, str, int], QuoteBar]:
    """Return the bars of quotes of `x` and `y`, all of them final, by source, resolution and start after the hour."""
    beats = [tuple(to_headers(Heartbeat(source, HOUR_MS + 3 * 3_600_000))) for source in "xy"]
    n = len(records) + len(beats)
    values = [*records, *[None] * len(beats)]
    block = Block("quotes", 0, 0, n, np.arange(n), values, np.zeros(n, np.int64), dict(enumerate(beats, len(records))))
    slicer = Slicer(
        QUOTE_BARS.slicing,
        0,
        1,
        slice_ms=1000,
        skew_ms=5000,
        lateness_ms=2000,
        epoch="e",
        checkpoint=None,
        committed=None,
        begin=0,
    )
    windows = Windows(QUOTE_BARS, slice_ms=1000, horizon_ms=60_000, epoch="e", fill=fill)
    windows.assign(0, Views())
    windows.start_publishing(0)
    assert slicer.fold(block) == []
    for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
        windows.apply_frame(0, 0, frame)
    bars = [msgspec.json.decode(value, type=QuoteBar) for _, _, _, value in windows.flush()]
    assert all(bar.final for bar in bars)
    return {(bar.source, bar.resolution, bar.start_ms - HOUR_MS): bar for bar in bars}


def test_the_mean_of_equal_spreads_is_no_wider_than_the_widest() -> None:
    # 0.1 + 0.1 + 0.1 is more than 0.3, by rounding.
    ones = {name: np.ones(1) for name in ("bid", "ask", "bid_quantity", "ask_quantity", "imbalance_sum")}
    sums = {"spread_sum": np.array([0.1 + 0.1 + 0.1]), "count": np.array([3]), "max_spread_bps": np.array([0.1])}
    times = {
        "first_close_ms": np.array([0]),
        "last_close_ms": np.array([3]),
        "spread_area": np.array([0.1 + 0.1 + 0.1]),
    }
    made = QuoteWindow().finish(ones | sums | times)
    assert (made["mean_spread_bps"][0], made["time_weighted_spread_bps"][0]) == (0.1, 0.1)


def test_quotes_of_two_sources_become_bars_of_each_and_of_all() -> None:
    bars = made(
        [
            record(0, 10, 99.0, 1.0, 101.0, 3.0, "x"),  # 200 bps
            record(900, 12, 99.5, 2.0, 100.5, 2.0, "x"),  # 100 bps, the close of its second
            record(500, 70, 100.0, 1.0, 100.0, 1.0, "y"),  # locked
            record(1500, 13, 97.0, 9.0, 103.0, 1.0, "x"),  # 600 bps: 100 stood for 600 ms
            record(4500, 14, 99.0, 3.0, 101.0, 1.0, "x"),  # 200 bps: 600 stood for 3 s
            record(61_000, 15, 90.0, 1.0, 110.0, 1.0, "x"),
        ]
    )
    assert len(bars) == (4 + 2 + 1 + 1 + 1) + (1 + 1 + 1 + 1 + 1) + (4 + 2 + 1 + 1 + 1)
    assert bars["x", "1m", 0] == QuoteBar(
        symbol="BTC-USDT",
        source="x",
        resolution="1m",
        start_ms=HOUR_MS,
        bid=99.0,
        bid_quantity=3.0,
        ask=101.0,
        ask_quantity=1.0,
        close_ms=HOUR_MS + 4500,
        open=100.0,
        high=100.0,
        low=100.0,
        close=100.0,
        spread_bps=200.0,
        mean_spread_bps=275.0,
        max_spread_bps=600.0,
        time_weighted_spread_bps=(100.0 * 600 + 600.0 * 3000) / 3600,
        imbalance=0.5,
        mean_imbalance=(-0.5 + 0.0 + 0.8 + 0.5) / 4,
        count=4,
        final=True,
        revision=4,
        incomplete=False,
    )
    both = bars["all", "1m", 0]
    assert (both.count, both.mean_spread_bps, both.max_spread_bps, both.close_ms) == (5, 220.0, 600.0, HOUR_MS + 4500)
    # The closes of all: x at 900 ms, at 1500 and at 4500.
    assert both.time_weighted_spread_bps == bars["x", "1m", 0].time_weighted_spread_bps
    # Of one second there is but one close.
    assert bars["x", "1s", 0].time_weighted_spread_bps == 100.0
    assert bars["y", "1h", 0].time_weighted_spread_bps == 0.0


def test_with_fill_a_quote_stands_until_the_next() -> None:
    bars = made(
        [
            record(100, 1, 99.0, 1.0, 101.0, 3.0, "x"),
            record(200, 2, 98.0, 3.0, 102.0, 1.0, "x"),
            record(3000, 3, 97.0, 1.0, 103.0, 1.0, "x"),
        ],
        fill=True,
    )
    filled = bars["x", "1s", 1000]
    assert filled == msgspec.structs.replace(
        bars["x", "1s", 0],
        start_ms=HOUR_MS + 1000,
        mean_spread_bps=400.0,
        mean_imbalance=0.5,
        count=0,
        revision=0,
    )
    assert (filled.bid, filled.bid_quantity, filled.ask, filled.ask_quantity) == (98.0, 3.0, 102.0, 1.0)
    assert (filled.close, filled.spread_bps, filled.close_ms) == (100.0, 400.0, HOUR_MS + 200)
    assert bars["x", "1s", 2000].bid == 98.0
    assert bars["x", "1s", 3000].bid == 97.0

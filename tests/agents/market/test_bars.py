"""What a bar holds: by hand, and squared returns along closes against plain Python."""

from itertools import pairwise
from math import log

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickertape.agents.market.bars import TRADE_BARS, Bar, SquaredReturns, TradeBar
from tickertape.agents.market.trade_rolling import TRADE_ROLLING
from tickertape.agents.market.trades import TRADE_SLICES
from tickertape.schemas.checkpoint import Views
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.block import Block
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.slices.slicer import Slicer
from tickertape.stream.engine.windows.windows import Windows
from tickertape.testing import run

HOUR_MS = 472_222 * 3_600_000
RETURNS = SquaredReturns()


def closes(values: list[float]) -> Columns:
    """Return slices that each have but one close."""
    close = np.array(values)
    return {"first_close": close, "last_close": close, "squares": np.zeros(len(close))}


def empty(rows: int = 1) -> Columns:
    return {name: np.full(rows, start, dtype) for name, (dtype, start) in RETURNS.schema.items()}


def squares(values: list[float]) -> float:
    return sum(log(after / before) ** 2 for before, after in pairwise(values))


def test_rows_of_one_merge_are_steps_of_their_own() -> None:
    into = empty(2)
    RETURNS.merge(into, np.array([0, 1, 0, 1, 0]), closes([100.0, 7.0, 110.0, 7.0, 99.0]))
    assert into["first_close"].tolist() == [100.0, 7.0]
    assert into["last_close"].tolist() == [99.0, 7.0]
    assert into["squares"].tolist() == pytest.approx([log(1.1) ** 2 + log(0.9) ** 2, 0.0])


@settings(max_examples=100)
@given(values=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20), data=st.data())
def test_any_split_in_time_order_is_what_plain_python_finds(values: list[float], data: st.DataObject) -> None:
    cuts = sorted({0, len(values), *data.draw(st.lists(st.integers(0, len(values)), max_size=4))})
    spans = list(pairwise(cuts))
    parts, whole = empty(len(spans)), empty()
    for row, (start, end) in enumerate(spans):
        RETURNS.merge(parts, np.full(end - start, row), closes(values[start:end]))
    RETURNS.merge(whole, np.zeros(len(spans), np.int64), parts)
    assert whole["squares"][0] == pytest.approx(squares(values), rel=1e-12)
    assert (whole["first_close"][0], whole["last_close"][0]) == (values[0], values[-1])


@settings(max_examples=60)
@given(values=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20), cut=st.integers(0, 20))
def test_where_closes_are_cut_changes_no_bit(values: list[float], cut: int) -> None:
    once, twice = empty(), empty()
    RETURNS.merge(once, np.zeros(len(values), np.int64), closes(values))
    for piece in (values[:cut], values[cut:]):
        RETURNS.merge(twice, np.zeros(len(piece), np.int64), closes(piece))
    assert {name: column.tobytes() for name, column in once.items()} == {
        name: column.tobytes() for name, column in twice.items()
    }


def test_a_partial_that_holds_nothing_changes_nothing() -> None:
    into = empty()
    partials = {name: np.concatenate([closes([2.0])[name], empty()[name], closes([2.0])[name]]) for name in into}
    RETURNS.merge(into, np.zeros(3, np.int64), partials)
    assert into["squares"][0] == 0.0
    assert (into["first_close"][0], into["last_close"][0]) == (2.0, 2.0)


def test_metrics() -> None:
    partials = {
        "low": np.array([1.0, 1.0]),
        "high": np.array([9.0, 9.0]),
        "volume": np.array([4.0, 1.0]),
        "notional": np.array([10.0, 2.0]),
        "buy_volume": np.array([1.0, 1.0]),
        "unsided_volume": np.array([0.0, 0.0]),
        "more_trades": np.array([0, 0]),
        "squares": np.array([0.25, 0.0]),
        "first_id": np.array([5, 7]),
        "last_id": np.array([14, 7]),
        "count": np.array([4, 1]),
    }
    got = TradeBar().finish(partials)
    assert got["vwap"].tolist() == [2.5, 2.0]
    assert got["buy_share"].tolist() == [0.25, 1.0]
    assert got["realised_volatility"].tolist() == [0.5, 0.0]
    assert got["missing"].tolist() == [6, 0]


@pytest.mark.parametrize(
    ("first", "last", "count", "missing"),
    [(0, 2**63 - 1, 1, 2**63 - 1), (0, 2**63 - 1, 2, 2**63 - 2), (2**63 - 1, 2**63 - 1, 1, 0), (5, 6, 3, 0)],
)
def test_missing_ids_are_counted_as_far_apart_as_ids_may_be(first: int, last: int, count: int, missing: int) -> None:
    ones = dict.fromkeys(("volume", "notional", "buy_volume", "squares", "low", "high"), np.ones(1))
    ones |= {"unsided_volume": np.zeros(1), "more_trades": np.zeros(1, np.int64)}
    ids = {"first_id": np.array([first]), "last_id": np.array([last]), "count": np.array([count])}
    assert TradeBar().finish(ones | ids)["missing"].tolist() == [missing]


@settings(max_examples=100)
@given(
    trades=st.lists(st.tuples(st.floats(1e-8, 1e9), st.floats(1e-8, 1e9)), min_size=1, max_size=30),
    flat=st.booleans(),
)
def test_vwap_is_within_low_and_high(trades: list[tuple[float, float]], flat: bool) -> None:
    price = np.array([price for price, _ in trades]) if not flat else np.full(len(trades), trades[0][0])
    quantity = np.array([quantity for _, quantity in trades])
    ones = {"unsided_volume": np.zeros(1), "more_trades": np.zeros(1)}
    ones |= dict.fromkeys(("buy_volume", "squares"), np.ones(1)) | dict.fromkeys(("first_id", "last_id"), np.ones(1))
    sums = {"volume": np.array([sum(quantity.tolist())]), "notional": np.array([sum((price * quantity).tolist())])}
    held = {"low": price.min(keepdims=True), "high": price.max(keepdims=True), "count": np.array([len(trades)])}
    vwap = TradeBar().finish(ones | sums | held)["vwap"][0]
    assert price.min() <= vwap <= price.max()
    assert vwap == pytest.approx(np.average(price, weights=quantity), rel=1e-12)


def record(
    at: int, number: int | str, price: float, quantity: float, side: str | None, source: str, **more: int
) -> bytes:
    fields = {"symbol": "BTC-USDT", "source": source, "id": number, "time_ms": HOUR_MS + at, "price": price}
    return msgspec.json.encode(fields | {"quantity": quantity, "side": side, "received_ms": HOUR_MS + at} | more)


def test_trades_of_two_sources_become_bars_of_each_and_of_all() -> None:
    records = [
        record(0, 10, 100.0, 1.0, "buy", "x"),
        record(900, 12, 104.0, 3.0, "sell", "x"),  # the close of its second
        record(500, 70, 102.0, 2.0, "buy", "y"),
        record(1500, 13, 102.0, 2.0, "buy", "x"),
        record(61_000, 15, 90.0, 1.0, "sell", "x"),  # closes the first minute of x but for its lateness
    ]
    beats = [tuple(to_headers(Heartbeat(source, HOUR_MS + 3 * 3_600_000))) for source in "xy"]
    n = len(records) + len(beats)
    block = Block(
        "trades",
        0,
        0,
        n,
        np.arange(n),
        [*records, *[None] * len(beats)],
        np.zeros(n, np.int64),
        dict(enumerate(beats, len(records))),
    )
    slicer = Slicer(
        TRADE_SLICES,
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
    windows = Windows(TRADE_BARS, slice_ms=1000, horizon_ms=60_000, epoch="e")
    windows.assign(0, Views())
    windows.start_publishing(0)
    assert slicer.fold(block) == []
    for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
        windows.apply_frame(0, 0, frame)
    bars = {
        (bar.source, bar.resolution, bar.start_ms - HOUR_MS): bar
        for bar in (msgspec.json.decode(value, type=Bar) for _, _, _, value in windows.flush())
    }
    assert len(bars) == (3 + 2 + 1 + 1 + 1) + (1 + 1 + 1 + 1 + 1) + (3 + 2 + 1 + 1 + 1)
    assert all(bar.final for bar in bars.values())
    assert bars["x", "1m", 0] == Bar(
        symbol="BTC-USDT",
        source="x",
        resolution="1m",
        start_ms=HOUR_MS,
        open=100.0,
        high=104.0,
        low=100.0,
        close=102.0,
        open_ms=HOUR_MS,
        close_ms=HOUR_MS + 1500,
        volume=6.0,
        notional=616.0,
        vwap=616.0 / 6.0,
        count=3,
        buy_volume=3.0,
        buy_share=0.5,
        largest=3.0,
        realised_volatility=pytest.approx(abs(log(102 / 104))),
        missing=1,
        final=True,
        revision=3,
        incomplete=False,
        trades=3,
    )
    both = bars["all", "1m", 0]
    # The closes of all: x at 900 ms, then x at 1500.
    assert (both.open, both.high, both.low, both.close) == (100.0, 104.0, 100.0, 102.0)
    assert (both.count, both.volume, both.notional, both.missing) == (4, 8.0, 820.0, 1)
    assert both.realised_volatility == pytest.approx(abs(log(102 / 104)))
    # Ids 12 and 14 of x are missing from the hour; y's 70 is no reason to miss what lies between.
    assert (bars["x", "1h", 0].missing, bars["all", "1h", 0].missing) == (2, 2)
    assert bars["y", "1s", 0].realised_volatility == 0.0


def bars_of(*records: bytes) -> dict[str, Bar]:
    """Return the bars of an hour by source; a heartbeat of each source closes it."""
    outcome = run([msgspec.json.decode(one, type=Trade) for one in records], TRADE_BARS)
    return {bar.source: bar for bar in outcome.results["bars"] if bar.resolution == "1h"}


def test_an_aggregate_counts_once_and_stands_for_its_trades() -> None:
    first = record(0, 10, 100.0, 1.0, "buy", "x", last_id=14)
    bar = bars_of(first, record(900, 17, 104.0, 3.0, "sell", "x", last_id=17))["x"]
    # Ids 15 and 16 are missing.
    assert (bar.count, bar.trades, bar.missing, bar.revision) == (2, 6, 2, 2)


def test_of_ids_that_are_texts_nobody_knows_what_is_missing() -> None:
    text = record(0, "a3c5", 100.0, 1.0, "buy", "x")
    numbers = record(20, 5, 1.0, 1.0, "buy", "y"), record(30, 8, 1.0, 1.0, "buy", "y")  # 6 and 7 are missing
    found = bars_of(text, record(10, "0b9f", 101.0, 1.0, "buy", "x"), text, *numbers)
    # The third repeats the first: one event.
    assert (found["x"].count, found["x"].trades, found["x"].missing) == (2, 2, None)
    assert (found["y"].missing, found["all"].missing) == (2, None)


def test_the_buy_share_is_of_the_volume_whose_side_is_known() -> None:
    records = [
        record(0, 1, 1.0, 3.0, "buy", "x"),
        record(1, 2, 1.0, 1.0, "sell", "x"),
        record(2, 3, 1.0, 4.0, None, "x"),
    ]
    bar = bars_of(*records, record(3, 1, 1.0, 1.0, None, "y"))
    assert (bar["x"].volume, bar["x"].buy_volume, bar["x"].buy_share) == (8.0, 3.0, 0.75)
    assert bar["y"].buy_share is None


def test_the_buy_share_of_a_sliding_window_is_of_the_volume_whose_side_is_known() -> None:
    records = [
        record(0, 1, 1.0, 3.0, "buy", "x"),
        record(100, 2, 1.0, 4.0, None, "x"),
        record(1000, 3, 1.0, 1.0, "sell", "x"),
        record(20_000, 4, 1.0, 2.0, None, "x"),
    ]
    outcome = run([msgspec.json.decode(one, type=Trade) for one in records], TRADE_BARS, TRADE_ROLLING)
    shares = [(one.volume_10s, one.buy_share_10s) for one in outcome.results["rolling/trades"] if one.source == "x"]
    assert shares == [(7.0, 1.0), (8.0, 0.75), (2.0, None)]


def test_what_follows_filled_bars_may_take_partials() -> None:
    records = [record(0, 1, 1.0, 3.0, "buy", "x"), record(3000, 2, 2.0, 1.0, None, "x")]
    trades = [msgspec.json.decode(one, type=Trade) for one in records]
    outcome = run(trades, TRADE_BARS, TRADE_ROLLING, settings=Settings(fill=True))
    bars = [bar.volume for bar in outcome.results["bars"] if (bar.source, bar.resolution) == ("x", "1s")]
    assert bars[:4] == [3.0, 0.0, 0.0, 1.0]
    # Sliding windows have a result for each second with trades, filled ones aside.
    shares = [(one.volume_10s, one.buy_share_10s) for one in outcome.results["rolling/trades"] if one.source == "x"]
    assert shares == [(3.0, 1.0), (4.0, 1.0)]


def test_a_trade_record_has_what_a_bar_needs() -> None:
    assert msgspec.json.decode(record(0, 1, 1.0, 1.0, "buy", "x"), type=Trade).price == 1.0

"""Recorded trades through slices and windows, in process, against what Polars computes from the same file."""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import polars as pl
import pytest

from agents.market.bars import TRADE_BARS, Bar
from agents.market.trades import TRADE_SLICES
from schemas.heartbeat import Heartbeat, to_headers
from schemas.trade import Trade
from stream.engine.block import Block
from stream.engine.checkpoint import Views
from stream.engine.slices import Slicer
from stream.engine.windows import Windows
from stream.feeds.files import Tally, read

RECORDED = Path(__file__).parents[3].parent / "shared" / "data" / "market"
SYMBOLS = {"BTC-USDT": "btcusdt", "ETH-USDT": "ethusdt"}
CLOSE_MS = 3 * 3_600_000

pytestmark = [
    pytest.mark.recorded,
    pytest.mark.skipif(not RECORDED.is_dir(), reason=f"the recorded input is not at {RECORDED}"),
]


def path(symbol: str) -> Path:
    return RECORDED / f"binance-spot-{SYMBOLS[symbol]}-20240808.jsonl.gz"


@cache
def trades() -> list[Trade]:
    """Return the trades of both files, merged by when they were received, as the feed reads them."""
    events = read([path(symbol) for symbol in SYMBOLS], "binance", Tally())
    return [event for event in events if isinstance(event, Trade)]


@cache
def oracle(symbol: str, width_ms: int) -> dict[int, dict[str, float]]:
    """Compute the bars of a file from its lines, without any of our code."""
    rows = []
    with gzip.open(path(symbol)) as lines:
        for line in lines:
            message = json.loads(line.partition(b" ")[2])
            if message.get("stream", "").endswith("@trade"):
                data = message["data"]
                rows.append((data["t"], data["T"], float(data["p"]), float(data["q"]), not data["m"]))
    names = ["id", "time_ms", "price", "quantity", "buy"]
    frame = pl.DataFrame(rows, schema=names, orient="row").sort("time_ms", "id")
    start = (pl.col("time_ms") // width_ms * width_ms).alias("start_ms")
    seconds = (
        frame.group_by((pl.col("time_ms") // 1000).alias("second"), maintain_order=True)
        .agg(pl.col("time_ms").last(), pl.col("price").last())
        .group_by(start, maintain_order=True)
        .agg(realised_volatility=pl.col("price").log().diff().pow(2).sum().sqrt())
    )
    bars = frame.group_by(start, maintain_order=True).agg(
        open=pl.col("price").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").last(),
        open_ms=pl.col("time_ms").first(),
        close_ms=pl.col("time_ms").last(),
        volume=pl.col("quantity").sum(),
        notional=(pl.col("price") * pl.col("quantity")).sum(),
        count=pl.len(),
        buy_volume=pl.col("quantity").filter(pl.col("buy")).sum(),
        largest=pl.col("quantity").max(),
        missing=pl.col("id").max() - pl.col("id").min() + 1 - pl.col("id").n_unique(),
    )
    bars = bars.join(seconds, on="start_ms").with_columns(
        vwap=pl.col("notional") / pl.col("volume"), buy_share=pl.col("buy_volume") / pl.col("volume")
    )
    return {row.pop("start_ms"): row for row in bars.to_dicts()}


def logs(partitions: int, *, spread: bool) -> list[list[Trade]]:
    """Deal the trades out: by symbol, or one after the other."""
    found: list[list[Trade]] = [[] for _ in range(partitions)]
    for i, trade in enumerate(trades()):
        found[(i if spread else list(SYMBOLS).index(trade.symbol)) % partitions].append(trade)
    return found


def blocks(partition: int, log: list[Trade], random: Random) -> Iterator[Block]:
    """Cut a log of trades, between two heartbeats, into blocks of random sizes."""
    first, last = trades()[0].time_ms - CLOSE_MS, trades()[-1].time_ms + CLOSE_MS
    beats = [tuple(to_headers(Heartbeat("binance", at))) for at in (first, last)]
    values = [None, *map(msgspec.json.encode, log), None]
    start = 0
    while start < len(values):
        end = min(start + random.choice([1, 7, 100, 1000, 5000]), len(values))
        headers = {at - start: beat for at, beat in ((0, beats[0]), (len(values) - 1, beats[1])) if start <= at < end}
        yield Block(
            "trades",
            partition,
            start,
            end,
            np.arange(start, end),
            values[start:end],
            np.zeros(end - start, int),
            headers,
        )
        start = end


def bars(partitions: int, seed: int, *, spread: bool = False) -> dict[tuple[str, str, str, int], Bar]:
    """Run the pipeline; partitions take turns at random, and windows are flushed now and then."""
    random = Random(seed)
    windows = Windows(TRADE_BARS, slice_ms=1000, horizon_ms=60_000, epoch="e")
    windows.own(0, Views())
    windows.settle(0)
    held: dict[tuple[str, str, str, int], Bar] = {}
    queues, offset = [], 0
    for partition, log in enumerate(logs(partitions, spread=spread)):
        slicer = Slicer(
            TRADE_SLICES,
            partition,
            partitions,
            slice_ms=1000,
            skew_ms=5000,
            lateness_ms=2000,
            epoch="e",
            checkpoint=None,
            committed=None,
            begin=0,
        )
        queues.append((slicer, blocks(partition, log, random)))

    def flush() -> None:
        for _, _, value in windows.flush():
            bar = msgspec.json.decode(value, type=Bar)
            key = bar.symbol, bar.source, bar.resolution, bar.start_ms
            if key not in held or (bar.final, bar.revision) >= (held[key].final, held[key].revision):
                held[key] = bar

    while queues:
        slicer, queue = turn = random.choice(queues)
        block = next(queue, None)
        if block is None:
            queues.remove(turn)
            assert slicer.tallies.counted == slicer.upto - 2
            continue
        assert slicer.fold(block) == []
        for _, frame in slicer.flush(lambda _: 0, 1, everyone=True):
            windows.apply(0, offset, frame)
            offset += 1
        if random.random() < 0.1:
            flush()
    flush()
    assert windows.late() == []
    assert len(windows) == 0
    return held


@cache
def reference() -> dict[tuple[str, str, str, int], Bar]:
    return bars(1, seed=0)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("source", ["binance", "all"])
@pytest.mark.parametrize("resolution", TRADE_BARS.resolutions)
def test_bars_are_what_polars_finds(symbol: str, source: str, resolution: str) -> None:
    found = {key[3]: bar for key, bar in reference().items() if key[:3] == (symbol, source, resolution)}
    expected = oracle(symbol, TRADE_BARS.resolutions[resolution])
    assert found.keys() == expected.keys()
    for start_ms, bar in found.items():
        assert bar.final
        assert not bar.incomplete
        assert bar.revision == bar.count
        for name, value in expected[start_ms].items():
            exact = name in ("open", "high", "low", "close", "open_ms", "close_ms", "count", "largest", "missing")
            assert getattr(bar, name) == (value if exact else pytest.approx(value, rel=1e-9, abs=1e-15)), name


def test_there_are_as_many_bars_as_there_should_be() -> None:
    counted: dict[tuple[str, str], int] = defaultdict(int)
    for symbol, source, resolution, _ in reference():
        if source == "all":
            counted[symbol, resolution] += 1
    assert {key: n for key, n in counted.items() if key[1] in ("1s", "1m", "5m")} == {
        ("BTC-USDT", "1s"): 345,
        ("BTC-USDT", "1m"): 7,
        ("BTC-USDT", "5m"): 3,
        ("ETH-USDT", "1s"): 320,
        ("ETH-USDT", "1m"): 7,
        ("ETH-USDT", "5m"): 3,
    }


@pytest.mark.parametrize("partitions", [1, 2, 4, 7])
def test_any_blocks_and_partitions_give_the_same_bars(partitions: int) -> None:
    assert bars(partitions, seed=partitions) == reference()


@pytest.mark.parametrize("partitions", [2, 4, 7])
def test_a_symbol_that_is_spread_gives_the_same_bars_but_for_the_order_of_sums(partitions: int) -> None:
    found = bars(partitions, seed=partitions, spread=True)
    assert found.keys() == reference().keys()
    summed = ("volume", "notional", "vwap", "buy_volume", "buy_share")
    for key, bar in found.items():
        expected = reference()[key]
        for name in Bar.__struct_fields__:
            value = getattr(expected, name)
            assert getattr(bar, name) == (pytest.approx(value, rel=1e-12) if name in summed else value), (key, name)

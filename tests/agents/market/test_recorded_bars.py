"""Recorded trades through slices and windows, in process, against what Polars computes from the same file."""

import gzip
import json
from collections import defaultdict
from functools import cache

import polars as pl
import pytest

from tests.agents.market import recorded
from tests.agents.market.recorded import SYMBOLS, Results, assert_equal, path, results
from tickertape.agents.market.bars import TRADE_BARS

pytestmark = recorded.needed


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


@cache
def reference() -> Results:
    return results(TRADE_BARS, 1, seed=0)


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
    assert results(TRADE_BARS, partitions, seed=partitions) == reference()


@pytest.mark.parametrize("partitions", [2, 4, 7])
def test_a_symbol_that_is_spread_gives_the_same_bars_but_for_the_order_of_sums(partitions: int) -> None:
    found = results(TRADE_BARS, partitions, seed=partitions, spread=True)
    assert_equal(found, reference(), summed=("volume", "notional", "vwap", "buy_volume", "buy_share"))

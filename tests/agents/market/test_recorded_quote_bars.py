"""Recorded quotes through slices and windows, in process, against what Polars computes from the same file."""

import gzip
import json
from functools import cache

import polars as pl
import pytest

from agents.market.quote_bars import QUOTE_BARS
from tests.agents.market import recorded
from tests.agents.market.recorded import SYMBOLS, Results, assert_equal, path, results

pytestmark = recorded.needed

EXACT = ("bid", "bid_quantity", "ask", "ask_quantity", "close_ms", "open", "high", "low", "close", "count")


@cache
def oracle(symbol: str, width_ms: int) -> dict[int, dict[str, float]]:
    """Compute the bars of a file from its lines, without any of our code."""
    rows = []
    with gzip.open(path(symbol)) as lines:
        for line in lines:
            received_ns, _, text = line.partition(b" ")
            message = json.loads(text)
            if message.get("stream", "").endswith("@bookTicker"):
                data = message["data"]
                sides = (float(data[name]) for name in ("b", "B", "a", "A"))
                rows.append((data["u"], int(received_ns) // 1_000_000, *sides))
    names = ["id", "time_ms", "bid", "bid_quantity", "ask", "ask_quantity"]
    bid, ask, bids, asks = (pl.col(name) for name in ("bid", "ask", "bid_quantity", "ask_quantity"))
    mid, spread = pl.col("mid"), pl.col("spread")
    frame = (
        pl.DataFrame(rows, schema=names, orient="row")
        .sort("time_ms", "id")
        .with_columns(mid=(bid + ask) / 2, imbalance=(bids - asks) / (bids + asks))
        .with_columns(spread=(ask - bid) / mid * 1e4, start_ms=pl.col("time_ms") // width_ms * width_ms)
    )
    # The last quote of each second stands until that of the next.
    stands_ms = pl.col("time_ms").shift(-1) - pl.col("time_ms")
    weighted = (
        frame.group_by("start_ms", (pl.col("time_ms") // 1000).alias("second"), maintain_order=True)
        .last()
        .group_by("start_ms", maintain_order=True)
        .agg(
            time_weighted_spread_bps=pl.when(pl.len() > 1)
            .then((spread * stands_ms).sum() / stands_ms.sum())
            .otherwise(spread.last())
        )
    )
    bars = frame.group_by("start_ms", maintain_order=True).agg(
        **{name: pl.col(name).last() for name in ("bid", "bid_quantity", "ask", "ask_quantity", "imbalance")},
        close_ms=pl.col("time_ms").last(),
        open=mid.first(),
        high=mid.max(),
        low=mid.min(),
        close=mid.last(),
        spread_bps=spread.last(),
        mean_spread_bps=spread.mean(),
        max_spread_bps=spread.max(),
        mean_imbalance=pl.col("imbalance").mean(),
        count=pl.len(),
    )
    return {row.pop("start_ms"): row for row in bars.join(weighted, on="start_ms").to_dicts()}


@cache
def reference() -> Results:
    return results(QUOTE_BARS, 1, seed=0)


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("source", ["binance", "all"])
@pytest.mark.parametrize("resolution", QUOTE_BARS.resolutions)
def test_bars_are_what_polars_finds(symbol: str, source: str, resolution: str) -> None:
    found = {key[3]: bar for key, bar in reference().items() if key[:3] == (symbol, source, resolution)}
    expected = oracle(symbol, QUOTE_BARS.resolutions[resolution])
    assert found.keys() == expected.keys()
    for start_ms, bar in found.items():
        assert bar.final
        assert not bar.incomplete
        assert bar.revision == bar.count
        for name, value in expected[start_ms].items():
            assert getattr(bar, name) == (value if name in EXACT else pytest.approx(value, rel=1e-9, abs=1e-12)), name


@pytest.mark.parametrize("partitions", [1, 4])
def test_any_blocks_and_partitions_give_the_same_bars(partitions: int) -> None:
    assert results(QUOTE_BARS, partitions, seed=partitions) == reference()


@pytest.mark.parametrize("partitions", [3])
def test_a_symbol_that_is_spread_gives_the_same_bars_but_for_the_order_of_sums(partitions: int) -> None:
    found = results(QUOTE_BARS, partitions, seed=partitions, spread=True)
    assert_equal(found, reference(), summed=("mean_spread_bps", "mean_imbalance"))

"""The recorded Binance trades and quotes beside the project, and what Polars makes of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl
import pytest

from tickertape.agents.market.quote_bars import QUOTE_BARS, QuoteBar
from tickertape.schemas.quote import Quote
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.tally import Tally

MARKET = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "market"
PATHS = (MARKET / "binance-spot-btcusdt-20240808.jsonl.gz", MARKET / "binance-spot-ethusdt-20240808.jsonl.gz")

needed = [
    pytest.mark.recorded,
    pytest.mark.skipif(not MARKET.is_dir(), reason="the recorded input is not beside the project"),
]


#: Symbol, id, event time, bid and its quantity, ask and its quantity.
QuoteRow: TypeAlias = tuple[str, int, int, float, float, float, float]
#: Of a bar of quotes, what is found and not summed; the rest may differ by the order of a sum.
EXACT_OF_QUOTES = (
    *("bid", "bid_quantity", "ask", "ask_quantity", "close_ms", "open", "high", "low", "close", "count"),
    *("spread_bps", "max_spread_bps", "imbalance"),
)


def trades() -> list[Trade]:
    return [event for event in files.read(PATHS, format_named("binance", ()), Tally()) if isinstance(event, Trade)]


def quotes() -> list[Quote]:
    return [event for event in files.read(PATHS, format_named("binance", ()), Tally()) if isinstance(event, Quote)]


def quote_rows(quotes: Iterable[Quote]) -> list[QuoteRow]:
    return [(q.symbol, q.id, q.time_ms, q.bid, q.bid_quantity, q.ask, q.ask_quantity) for q in quotes]


def polars_quote_bars(rows: list[QuoteRow], width_ms: int) -> list[dict[str, Any]]:
    """Return the bars of one width, by symbol and start."""
    names = ["symbol", "id", "time_ms", "bid", "bid_quantity", "ask", "ask_quantity"]
    bid, ask, bids, asks = (pl.col(name) for name in ("bid", "ask", "bid_quantity", "ask_quantity"))
    mid, spread, time_ms = pl.col("mid"), pl.col("spread"), pl.col("time_ms")
    frame = (
        pl.DataFrame(rows, schema=names, orient="row")
        .sort("time_ms", "id")
        .with_columns(mid=(bid + ask) / 2, imbalance=(bids - asks) / (bids + asks))
        .with_columns(spread=(ask - bid) * 10_000 / mid, start_ms=time_ms // width_ms * width_ms)
    )
    # The last quote of each second stands until that of the next.
    stands_ms = time_ms.shift(-1) - time_ms
    weighted = (
        frame.group_by("symbol", "start_ms", (time_ms // 1000).alias("second"), maintain_order=True)
        .last()
        .group_by("symbol", "start_ms", maintain_order=True)
        .agg(
            time_weighted_spread_bps=pl.when(pl.len() > 1)
            .then((spread * stands_ms).sum() / stands_ms.sum())
            .otherwise(spread.last())
        )
    )
    bars = frame.group_by("symbol", "start_ms", maintain_order=True).agg(
        *(pl.col(name).last() for name in ("bid", "bid_quantity", "ask", "ask_quantity", "imbalance")),
        close_ms=time_ms.last(),
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
    return bars.join(weighted, on=["symbol", "start_ms"]).to_dicts()


def assert_are_polars(rows: list[QuoteRow], found: dict[tuple[str, str, str, int], QuoteBar]) -> None:
    """Compare all bars of quotes, by symbol, source, resolution and start."""
    compared = 0
    for resolution, width_ms in QUOTE_BARS.resolutions.items():
        for row in polars_quote_bars(rows, width_ms):
            for source in ("binance", "all"):
                bar = found[row["symbol"], source, resolution, row["start_ms"]]
                assert (bar.final, bar.revision, bar.incomplete) == (True, row["count"], False)
                for name in row.keys() - {"symbol", "start_ms"}:
                    exact = name in EXACT_OF_QUOTES
                    expected = row[name] if exact else pytest.approx(row[name], rel=1e-9, abs=1e-12)
                    assert getattr(bar, name) == expected, name
                compared += 1
    assert compared == len(found)


def polars_bars(trades: list[Trade], width_ms: int) -> pl.DataFrame:
    """Return the bars of one width, by symbol and start."""
    frame = pl.DataFrame(
        [(t.symbol, t.id, t.time_ms, t.price, t.quantity, t.side == "buy") for t in trades],
        schema=["symbol", "id", "time_ms", "price", "quantity", "buy"],
        orient="row",
    ).sort("time_ms", "id")
    price, quantity, ids = pl.col("price"), pl.col("quantity"), pl.col("id")
    return frame.group_by("symbol", start_ms=pl.col("time_ms") // width_ms * width_ms, maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        open_ms=pl.col("time_ms").first(),
        close_ms=pl.col("time_ms").last(),
        volume=quantity.sum(),
        notional=(price * quantity).sum(),
        buy_volume=quantity.filter(pl.col("buy")).sum(),
        largest=quantity.max(),
        count=pl.len(),
        missing=ids.max() - ids.min() + 1 - pl.len(),
    )

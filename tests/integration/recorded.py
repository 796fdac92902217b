"""The recorded Binance trades beside the project, and what Polars makes of them."""

from pathlib import Path

import polars as pl
import pytest

from schemas.trade import Trade
from stream.feeds import files

MARKET = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "market"
PATHS = (MARKET / "binance-spot-btcusdt-20240808.jsonl.gz", MARKET / "binance-spot-ethusdt-20240808.jsonl.gz")

needed = [
    pytest.mark.recorded,
    pytest.mark.skipif(not MARKET.is_dir(), reason="the recorded input is not beside the project"),
]


def trades() -> list[Trade]:
    return [event for event in files.read(PATHS, "binance", files.Tally()) if isinstance(event, Trade)]


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

"""Read a topic's results as a Polars data frame: the minutes of the last hour with the widest range.

Run it: TICKERTAPE_BROKER=localhost:9092 python examples/results_to_polars.py
"""

from datetime import timedelta

import polars as pl

import tickertape


def widest(n: int = 10) -> pl.DataFrame:
    """Return the n minutes with the widest range."""
    table = tickertape.read("bars", resolutions=["1m"], sources=["all"], since=timedelta(hours=1), finals=False)
    return (
        pl.DataFrame(table)
        .with_columns(range_bps=(pl.col("high") / pl.col("low") - 1) * 10_000)
        .sort("range_bps", descending=True)
        .select("symbol", pl.from_epoch("start_ms", time_unit="ms").alias("minute"), "range_bps", "volume", "final")
        .head(n)
    )


if __name__ == "__main__":
    print(widest())

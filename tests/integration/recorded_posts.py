"""The recorded tweets and Jetstream events beside the project, and what Polars makes of the tweets."""

import gzip
from pathlib import Path

import polars as pl
import pytest

SOCIAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "social"
TWEETS = SOCIAL / "tweets-stocks-2014-05-06.jsonl.gz"
JETSTREAM = SOCIAL / "bluesky-jetstream-v1-20260704.jsonl.gz"

needed = [
    pytest.mark.recorded,
    pytest.mark.skipif(not SOCIAL.is_dir(), reason="the recorded input is not beside the project"),
]


def lines(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines()


def tweets() -> pl.DataFrame:
    """Return each tweet once, and without ours: ``id``, ``time_ms``, ``author``, ``text``, ``copy``, ``symbols``."""
    entities = pl.col("entities").struct
    return (
        pl.read_ndjson(TWEETS)
        .unique("id_str")
        .select(
            id=pl.col("id_str"),
            time_ms=pl.col("created_at").str.to_datetime("%a %b %d %H:%M:%S %z %Y").dt.epoch("ms"),
            author=pl.col("user").struct.field("id_str"),
            text=pl.col("text"),
            copy=pl.col("is_retweet"),
            symbols=entities.field("symbols").list.eval(pl.element().str.to_uppercase()).list.unique(),
            tags=entities.field("hashtags").list.eval(pl.element().str.to_lowercase()).list.unique(),
        )
    )

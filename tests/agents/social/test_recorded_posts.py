"""The recorded tweets, as Polars counts them."""

from collections import Counter

import polars as pl
import pytest

from tests.agents.social.through import Key, Said, through
from tests.engine.blocks import tallied
from tests.integration import recorded_posts
from tickertape.agents.social.chatter import CHATTER, Chatter
from tickertape.agents.social.posts import AUTHORS
from tickertape.stream.feeds.networks import twitter

pytestmark = recorded_posts.needed

# 2014-05-21
BURST_MS = 1_400_630_400_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def polars_counts(width_ms: int) -> pl.DataFrame:
    """Return the windows of one width, by symbol and start."""
    return (
        recorded_posts.tweets()
        .explode("symbols")
        .drop_nulls("symbols")
        .group_by(symbol="symbols", start_ms=pl.col("time_ms") // width_ms * width_ms)
        .agg(
            mentions=pl.len(),
            copies=pl.col("copy").sum(),
            authors=pl.col("author").n_unique(),
            tags=pl.col("tags"),
        )
    )


def assert_equal_polars(held: dict[Key, Chatter]) -> None:
    compared = 0
    for resolution, width_ms in CHATTER.resolutions.items():
        for row in polars_counts(width_ms).iter_rows(named=True):
            tags = Counter(tag for tags in row["tags"] for tag in tags)
            for source in ("twitter", "all"):
                one = held[row["symbol"], source, resolution, row["start_ms"]]
                assert (one.mentions, one.copies, one.revision) == (row["mentions"], row["copies"], row["mentions"])
                # Three standard errors, and one author more for rounding.
                assert abs(one.unique_authors - row["authors"]) <= 3 * AUTHORS.error * row["authors"] + 1
                assert one.hashtags_error == 0
                assert sorted(n for _, n in one.hashtags) == sorted(n for _, n in tags.most_common(10))
                assert all(tags[tag] == n for tag, n in one.hashtags)
                compared += 1
    assert compared == len(held)


@pytest.fixture(scope="module")
def in_order() -> Said:
    """Sorted by event time, at a lateness of a minute."""
    posts = sorted(map(twitter.normalise, recorded_posts.lines(recorded_posts.TWEETS)), key=lambda one: one.time_ms)
    return through(posts, end_ms={"twitter": posts[-1].time_ms + DAY_MS})


@pytest.fixture(scope="module")
def counted() -> dict[Key, Chatter]:
    """As they lie in the file, in no order: with days of lateness none of them is late."""
    lines = recorded_posts.lines(recorded_posts.TWEETS)
    held, _, tallies = through(map(twitter.normalise, lines), lateness_ms=90 * DAY_MS, block_records=len(lines))
    # One tweet lies there once for each ticker that it was collected under.
    unmatched = sum(not twitter.normalise(line).symbols for line in lines)
    assert (len(lines), tallied(tallies)) == (6891, {"counted": 4397, "repeated": 2470, "unmatched": unmatched})
    return held


def test_the_tweets_in_the_order_of_the_file(counted: dict[Key, Chatter]) -> None:
    assert_equal_polars(counted)


def test_the_tweets_sorted_at_a_lateness_of_a_minute(in_order: Said) -> None:
    assert (in_order.tallies.counted, in_order.tallies.late) == (4397, 0)
    assert all(one.final for one in in_order.windows.values())
    assert_equal_polars(in_order.windows)


def test_the_burst_of_may_21_is_one_text_copied(counted: dict[Key, Chatter]) -> None:
    for symbol in ("FB", "GOOG", "AMZN"):
        day = [
            one
            for (name, source, resolution, start_ms), one in counted.items()
            if (name, source, resolution) == (symbol, "twitter", "1h") and BURST_MS <= start_ms < BURST_MS + DAY_MS
        ]
        copied = Counter[str]()
        for one in day:
            copied.update(dict(one.most_copied))
        (_, most), *_ = copied.most_common(1)
        assert most == 527
        # The busiest hour of both months is of that day, and nearly all of it is copies.
        hours = [
            one
            for (name, source, resolution, _), one in counted.items()
            if (name, source, resolution) == (symbol, "twitter", "1h")
        ]
        busiest = max(hours, key=lambda one: one.mentions)
        assert BURST_MS <= busiest.start_ms < BURST_MS + DAY_MS
        assert busiest.copy_share > 0.97


def test_the_burst_of_may_21_is_found(in_order: Said) -> None:
    found = {
        symbol: one
        for (symbol, source, resolution, start_ms), one in in_order.mentions.items()
        if (source, resolution) == ("twitter", "1h") and BURST_MS <= start_ms < BURST_MS + DAY_MS and one.z_score > 15
    }
    # The text names these four; AAPL, which has more posts in all, it doesn't.
    assert {"FB", "GOOG", "AMZN", "GRPN"} >= found.keys() >= {"FB", "GOOG", "AMZN"}
    assert {one.start_ms for one in found.values()} == {BURST_MS + 5 * HOUR_MS}
    assert all(one.copy_share == 1 for one in found.values())

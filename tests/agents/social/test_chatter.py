"""What posts say of a symbol, from posts written by hand."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agents.social.through import through
from tests.engine.blocks import HOUR_MS, tallied
from tickertape.agents.social.chatter import Chatter
from tickertape.schemas.post import Post


def post(at: int, text: str = "", *symbols: str, id: int | None = None, source: str = "s", **more: Any) -> Post:  # noqa: A002 - it is the record's field
    fields = {"author": "ann"} | more
    number = at if id is None else id
    return Post(
        id=number, source=source, time_ms=HOUR_MS + at, received_ms=HOUR_MS + at, text=text, symbols=symbols, **fields
    )


def said(*posts: Post, symbol: str = "A", source: str = "s", resolution: str = "1m", **more: Any) -> Chatter:
    held, *_ = through(posts, **more)
    return held[symbol, source, resolution, HOUR_MS]


def test_a_minute_of_posts() -> None:
    assert said(
        post(0, "good", "A", sentiment=0.5, tags=("Tech", "AI"), likes=1, reposts=2, replies=4),
        post(1000, "bad", "A", "B", author="bob", sentiment=-0.25, tags=("tech",)),
        post(2000, "copy", "A", copy_of=7, likes=900),
        post(3000, "copy", "A", author="bob", copy_of=7),
        post(4000, "copy", "A", author="bob", copy_of=8),
        post(60_000, "the next minute", "A"),
    ) == Chatter(
        symbol="A",
        source="s",
        resolution="1m",
        start_ms=HOUR_MS,
        mentions=5,
        copies=3,
        copy_share=0.6,
        most_copied=[("7", 2), ("8", 1)],
        unique_authors=2,
        # 2.3 % of what comes out as two.
        unique_authors_error=pytest.approx(0.046, abs=0.001),
        engagement=7,
        scored=2,
        sentiment=0.125,
        hashtags=[("tech", 2), ("ai", 1)],
        hashtags_error=0,
        final=False,
        revision=5,
        incomplete=False,
    )


def test_engagement_stays_a_number_whatever_a_post_claims() -> None:
    posts = [post(i, "good", "A", likes=2**53, reposts=2**53, replies=2**53) for i in range(1000)]
    assert said(*posts).engagement == 1000 * 2**31


def test_without_a_score_there_is_no_sentiment() -> None:
    one = said(post(0, "", "A"))
    assert (one.mentions, one.scored, one.sentiment) == (1, 0, None)


def test_a_repeated_post_counts_once_for_each_symbol() -> None:
    again = post(0, "", "A", "B", likes=3)
    held, _, tallies = through([again, again, post(1, "", "A"), again], block_records=2)
    assert (held["A", "s", "1m", HOUR_MS].mentions, held["B", "s", "1m", HOUR_MS].mentions) == (2, 1)
    assert held["A", "s", "1m", HOUR_MS].engagement == 3
    assert tallied(tallies) == {"counted": 2, "repeated": 2}


def test_aliases_and_cashtags_name_symbols_and_other_posts_are_unmatched() -> None:
    posts = [post(0, "my iPhone and $btc", "BTC"), post(1, "an apple"), post(2, "a pear")]
    held, _, tallies = through(posts, aliases={"AAPL": ["apple", "iphone"], "BTC-USD": ["$btc"]})
    assert {key[0]: one.mentions for key, one in held.items() if key[1:3] == ("s", "1h")} == {"AAPL": 2, "BTC-USD": 1}
    assert tallied(tallies) == {"counted": 2, "unmatched": 1}


def test_one_name_on_two_networks_is_two_people() -> None:
    posts = [post(0, "", "A"), post(0, "", "A", source="t"), post(1, "", "A", source="t")]
    assert said(*posts, source="all").unique_authors == 2
    assert said(*posts, source="t").unique_authors == 1


def test_a_window_is_final_a_minute_behind() -> None:
    # Lateness is 60 s: at 119,999 ms the frontier is at 59,999, and the minute ends at 60,000.
    posts = [post(0, "", "A"), post(119_999, "nothing")]
    assert not said(*posts).final
    assert said(*posts, post(120_000, "nothing")).final


WORDS = st.sampled_from(["", "good", "apple", "Apple pie"])
posts = st.lists(
    st.builds(
        post,
        st.integers(0, 150_000),
        WORDS,
        id=st.integers(0, 40),
        source=st.sampled_from("st"),
        author=st.sampled_from(["ann", "bob", "cyd", "dan"]),
        sentiment=st.sampled_from([None, -0.5, 0.25]),
        copy_of=st.sampled_from([None, None, 1, 2]),
        tags=st.sampled_from([(), ("x",), ("x", "Y")]),
        likes=st.integers(0, 9),
    ),
    min_size=1,
    max_size=40,
    # A source's number is one post's.
    unique_by=lambda one: (one.source, one.id),
)


@settings(max_examples=50)
@given(posts=posts, data=st.data(), block_records=st.integers(1, 50))
def test_in_any_order_and_any_blocks_it_is_what_plain_python_counts(
    posts: list[Post], data: st.DataObject, block_records: int
) -> None:
    order = data.draw(st.permutations([*posts, *data.draw(st.lists(st.sampled_from(posts), max_size=5))]))
    held, _, tallies = through(order, aliases={"AAPL": ["apple"]}, lateness_ms=1 << 30, block_records=block_records)
    matched = [one for one in posts if "apple" in one.text.lower()]
    assert tallies.counted == len(matched)
    assert tallies.unmatched == sum("apple" not in one.text.lower() for one in order)
    for (symbol, source, resolution, start_ms), one in held.items():
        width_ms = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000}[resolution]
        mine = [p for p in matched if p.time_ms - p.time_ms % width_ms == start_ms and source in (p.source, "all")]
        own = [p for p in mine if p.copy_of is None]
        scores = [p.sentiment for p in mine if p.sentiment is not None]
        assert symbol == "AAPL"
        assert (one.mentions, one.copies, one.scored) == (len(mine), len(mine) - len(own), len(scores))
        assert one.engagement == sum(p.likes for p in own)
        assert one.sentiment == (sum(scores) / len(scores) if scores else None)
        assert one.unique_authors == len({(p.source, p.author) for p in mine})
        tags = {tag: sum(tag in map(str.lower, p.tags) for p in mine) for tag in "xy"}
        assert dict(one.hashtags) == {tag: n for tag, n in tags.items() if n}
    assert {key[1] for key in held} == {one.source for one in matched} | ({"all"} if matched else set())

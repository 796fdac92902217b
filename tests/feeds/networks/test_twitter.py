"""What is read of a status of Twitter's API v1.1, and what it is not read as."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from tests.integration import recorded_posts
from tickertape.schemas.post import Post
from tickertape.stream.feeds.networks import twitter

STATUS: dict[str, Any] = {
    "created_at": "Wed May 21 14:30:05 +0000 2014",
    "id_str": "469130212345671680",
    "text": "Great quarter for $FB and $brk.b #earnings",
    "lang": "en",
    "user": {"id_str": "42"},
    "favorite_count": 3,
    "retweet_count": 2,
    "reply_count": 1,
    "entities": {
        "symbols": [{"text": "FB", "indices": [18, 21]}, {"text": "brk.b"}, {"text": "fb"}],
        "hashtags": [{"text": "earnings", "indices": [33, 42]}],
    },
}
# 2014-05-21T14:30:05Z
TIME_MS = 1_400_682_605_000


def read(**more: Any) -> Post:
    return twitter.normalise(json.dumps(STATUS | more).encode(), 1_500_000_000_000)


def test_a_status_is_a_post() -> None:
    post = read()
    assert msgspec.structs.replace(post, sentiment=None) == Post(
        author="42",
        source="twitter",
        id=469130212345671680,
        time_ms=TIME_MS,
        text="Great quarter for $FB and $brk.b #earnings",
        tags=("earnings",),
        symbols=("FB", "BRK.B"),
        likes=3,
        reposts=2,
        replies=1,
        language="en",
        received_ms=1_500_000_000_000,
    )
    assert post.sentiment is not None
    assert post.sentiment > 0.5


def test_a_retweet_is_a_copy_of_its_original() -> None:
    assert read(retweeted_status={"id_str": "469130000000000000", "text": "x"}).copy_of == 469130000000000000


def test_where_the_original_is_not_told_copies_of_one_text_share_a_number() -> None:
    one = read(is_retweet=True, text="RT @a: buy")
    again = read(is_retweet=True, text="RT @a: buy", id_str="2")
    other = read(is_retweet=True, text="RT @a: sell")
    assert one.copy_of is not None
    assert one.copy_of == again.copy_of != other.copy_of


def test_the_whole_text_of_a_long_status_is_taken() -> None:
    assert read(full_text="the whole of it", text="the wh…").text == "the whole of it"


def test_a_language_that_twitter_could_not_tell_is_none() -> None:
    post = read(lang="und")
    assert (post.language, post.sentiment) == ("", None)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"id_str": "x"}, "invalid literal"),
        ({"id_str": "-1"}, r"`int` >= 0 - at `\$.id`"),
        ({"created_at": "2014-05-21T14:30:05Z"}, "does not match format"),
        ({"user": {}}, "missing required field `id_str`"),
        ({"entities": {"symbols": ["x" * 65]}}, r"length <= 64 - at `\$.symbols"),
        ({"favorite_count": -1}, r"`int` >= 0 - at `\$.likes`"),
        ({"text": "x" * 40_000}, "a text has 40,000 characters; at most 32,768 are allowed"),
        ({"coordinates": ["x" * 300_000]}, "bytes; at most 262,144 are allowed"),
    ],
)
def test_what_lacks_something_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(**wrong)


class TestRecorded:
    pytestmark = recorded_posts.needed

    def test_the_recorded_tweets(self) -> None:
        read = {post.id: post for post in map(twitter.normalise, recorded_posts.lines(recorded_posts.TWEETS))}
        known = recorded_posts.tweets()
        assert len(read) == len(known) == 4421
        for tweet in known.iter_rows(named=True):
            post = read[int(tweet["id"])]
            assert (post.time_ms, post.author, post.text) == (tweet["time_ms"], tweet["author"], tweet["text"])
            assert set(post.symbols) == set(tweet["symbols"])
            assert (post.copy_of is not None) == tweet["copy"]

    def test_copies_of_one_text_are_told_by_their_number(self) -> None:
        read = {post.id: post for post in map(twitter.normalise, recorded_posts.lines(recorded_posts.TWEETS))}
        copied = Counter(post.copy_of for post in read.values() if post.copy_of is not None)
        texts = recorded_posts.tweets().filter("copy")["text"].value_counts()
        assert sorted(copied.values()) == sorted(texts["count"].to_list())


@pytest.mark.parametrize(
    "odd",
    [
        {"favorite_count": None},
        {"retweet_count": None},
        {"reply_count": None},
        {"lang": None},
        {"entities": None},
        {"entities": {"symbols": None, "hashtags": None}},
        {"entities": {"symbols": "FB"}},
        {"full_text": None},
        {"extended_tweet": None},
        {"retweeted_status": None},
        {"is_retweet": None},
    ],
    ids=str,
)
def test_a_field_that_is_null_or_of_another_form_is_left_aside(odd: dict[str, Any]) -> None:
    assert read(**odd).symbols == ("FB", "BRK.B")


def test_of_a_long_status_the_whole_text_and_its_entities_are_taken() -> None:
    long = {"full_text": "which is $FB", "entities": {"symbols": [{"text": "FB"}], "hashtags": [{"text": "long"}]}}
    post = read(text="which…", entities={"symbols": []}, truncated=True, extended_tweet=long)
    assert (post.text, post.symbols, post.tags) == ("which is $FB", ("FB",), ("long",))

"""Events of a Jetstream, written by hand from its documents, and the posts that they tell of."""

import json
from collections import Counter
from typing import Any

import pytest

from tests.integration import recorded_posts
from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.networks import bluesky
from tickertape.stream.feeds.networks.bluesky import normalise

POST = "app.bsky.feed.post"
# 2026-07-04T14:38:08.420Z
TIME_MS = 1_783_175_888_420


def event(operation: str = "create", collection: str = POST, rkey: str = "3mp", **record: Any) -> bytes:
    commit = {"rev": "r", "operation": operation, "collection": collection, "rkey": rkey}
    if operation == "create":
        commit["record"] = {"$type": collection, "createdAt": "2026-07-04T14:38:08.420Z", "text": "hello"} | record
    return json.dumps(
        {"did": "did:plc:a", "time_us": 1_783_175_889_000_123, "kind": "commit", "commit": commit}
    ).encode()


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"text": "$A " * 20_000}, "a text has 60,000 characters; at most 32,768 are allowed"),
        ({"tags": ["$A"] * 100_000}, "bytes; at most 262,144 are allowed"),
        ({"facets": [{}] * 100_000}, "bytes; at most 262,144 are allowed"),
    ],
    ids=["text", "tags", "facets"],
)
def test_what_is_longer_than_any_post_is_refused_before_it_is_searched(
    odd: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bluesky, "cashtags", lambda _: pytest.fail("searched"))
    with pytest.raises(ValueError, match=reason):
        normalise(event(**odd))


def post(message: bytes, received_ms: int = 0) -> Post:
    found = normalise(message, received_ms)
    assert isinstance(found, Post)
    return found


def test_a_created_record_is_a_post() -> None:
    facets = [
        {"index": {"byteStart": 0, "byteEnd": 4}, "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "AI"}]},
        {"index": {"byteStart": 5, "byteEnd": 9}, "features": [{"$type": "…#link", "uri": "at://a/b"}]},
        {"index": {"byteStart": 5, "byteEnd": 9}, "features": [{"$type": "…#tag", "tag": "$tsla"}]},
    ]
    found = post(
        event(text="#AI $AAPL, $aapl ($brk.b)! US$NO $7B", langs=["de", "en"], facets=facets, tags=["x", "AI"])
    )
    assert found == Post(
        author="did:plc:a",
        source="bluesky",
        id=found.id,
        time_ms=TIME_MS,
        text="#AI $AAPL, $aapl ($brk.b)! US$NO $7B",
        tags=("AI", "x"),
        symbols=("AAPL", "BRK.B", "TSLA"),
        language="de",
        received_ms=1_783_175_889_000,
    )


def test_its_number_is_of_its_place_and_nothing_else() -> None:
    assert post(event()).id == post(event(text="hello again"), 7).id
    assert post(event()).id != post(event(rkey="3mq")).id
    assert 0 <= post(event()).id < 2**63


def test_a_feed_says_when_it_had_it() -> None:
    assert post(event(), TIME_MS + 900).received_ms == TIME_MS + 900


@pytest.mark.parametrize(
    "created", ["2026-07-04T14:38:08.42Z", "2026-07-04T16:38:08.420999+02:00", "2026-07-04T14:38:08.420"]
)
def test_when_it_was_written(created: str) -> None:
    assert post(event(createdAt=created)).time_ms == TIME_MS


def test_what_is_said_to_be_in_english_is_scored() -> None:
    assert (post(event(text="I love it", langs=["en-GB"])).sentiment or 0) > 0.5
    assert post(event(text="I love it")).sentiment is None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (event("delete"), "deletion"),
        (event("delete", "app.bsky.feed.like"), "app.bsky.feed.like"),
        (event("create", "app.bsky.feed.repost"), "app.bsky.feed.repost"),
        (event("update"), POST),
        (b'{"did":"did:plc:a","time_us":1,"kind":"identity","identity":{}}', "identity"),
        (b'{"did":"did:plc:a","time_us":1,"kind":"account","account":{"active":false}}', "account"),
    ],
)
def test_other_events_are_named_by_their_kind(message: bytes, kind: str) -> None:
    assert normalise(message) == Other(kind)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (b"?", "malformed"),
        (b"{}", "missing required field `did`"),
        (event(createdAt="yesterday"), "Invalid RFC3339"),
        (event(createdAt="0001-01-01T00:00:00Z"), r"`\$.time_ms`"),
        (event(text=7), "Expected `str`"),
        (event()[:-9], "truncated"),
    ],
)
def test_what_lacks_something_is_refused(wrong: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalise(wrong)


class TestRecorded:
    pytestmark = recorded_posts.needed

    def test_the_recorded_events(self) -> None:
        lines = recorded_posts.lines(recorded_posts.JETSTREAM)
        found = [normalise(line) for line in lines]
        posts = [one for one in found if isinstance(one, Post)]
        others = Counter(one.kind for one in found if isinstance(one, Other))
        assert (len(posts), others[bluesky.DELETION], others.total()) == (17, 1, len(lines) - 17)
        assert len({one.id for one in posts}) == 17
        assert all(abs(one.received_ms - one.time_ms) < 60_000 for one in posts)

"""Bluesky: what an event of a Jetstream (v1) says, as a `Post`."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from schemas.post import Post
from stream.feeds.other import Other
from stream.feeds.posts import cashtags, number, symbols
from stream.feeds.sentiment import sentiment

SOURCE = "bluesky"
POSTS = "app.bsky.feed.post"
#: The kind of an event that takes a post back.
DELETION = "deletion"


class _Feature(Struct):
    tag: str = ""


class _Facet(Struct):
    features: list[_Feature] = []


class _Record(Struct, rename="camel"):
    text: str
    created_at: datetime
    langs: list[str] = []
    facets: list[_Facet] = []
    tags: list[str] = []


class _Commit(Struct):
    operation: str
    collection: str
    rkey: str
    record: msgspec.Raw = msgspec.Raw()


class _Event(Struct):
    did: str
    time_us: int
    kind: str
    commit: _Commit | None = None


_open = msgspec.json.Decoder(_Event).decode
_decode = msgspec.json.Decoder(_Record).decode


def normalise(message: bytes, received_ms: int = 0) -> Post | Other:
    """Return the post that an event creates.

    Its event time is when its author's client says that it was written: it stays the same in whatever Jetstream it is
    met again, and the time at which a Jetstream had it doesn't.

    Parameters
    ----------
    message
        As it came.
    received_ms
        When it came, by the feed's clock, ms; 0: when the Jetstream had it, by its own.

    Raises
    ------
    ValueError
        It is not JSON, or lacks what a post must have.
    """
    event = _open(message)
    commit = event.commit
    if commit is None:
        return Other(event.kind)
    if commit.collection != POSTS or commit.operation != "create":
        return Other(DELETION if (commit.collection, commit.operation) == (POSTS, "delete") else commit.collection)
    record = _decode(commit.record)
    tags = [feature.tag for facet in record.facets for feature in facet.features if feature.tag] + record.tags
    language = record.langs[0] if record.langs else ""
    fields = {
        "author": event.did,
        "source": SOURCE,
        "id": number(f"at://{event.did}/{POSTS}/{commit.rkey}"),
        "time_ms": _ms(record.created_at),
        "text": record.text,
        "tags": [tag for tag in dict.fromkeys(tags) if not tag.startswith("$")],
        "symbols": symbols(cashtags(" ".join([record.text, *(tag for tag in tags if tag.startswith("$"))]))),
        "language": language,
        "sentiment": sentiment(record.text, language),
        "received_ms": received_ms or event.time_us // 1000,
    }
    return msgspec.convert(fields, Post)


def _ms(time: datetime) -> int:
    # Some clients leave the zone out; what they mean is UTC.
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)

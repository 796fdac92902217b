"""Bluesky: events of a Jetstream (v1), decoded into a `Post`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.fields import hash_of
from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.units import convert
from tickertape.stream.feeds.networks.posts import CASH_SIGNS, cashtags, check_size, check_text, symbols
from tickertape.stream.feeds.networks.sentiment import sentiment

SOURCE = "bluesky"
POSTS = "app.bsky.feed.post"
#: The kind of an event that deletes a post.
DELETION = "deletion"
# The most tags or symbols of a post, and the greatest length of a tag and of a language.
MOST_TAGS = 256
TAG_LETTERS = 256
LANGUAGE_LETTERS = 64


class _Record(Struct, rename="camel"):
    text: str
    created_at: datetime
    # Clients may write anything into these; values of another form are ignored.
    langs: Any = None
    facets: Any = None
    tags: Any = None


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
    """Decode an event into the post that it creates, or into an `Other`.

    The post's event time is its creation by the clock of its author's client. That is the same in every Jetstream; the
    time at which a Jetstream received the post is not.

    Parameters
    ----------
    message
        The event as received.
    received_ms
        Its receipt by the feed's clock, ms; 0 for the receipt by the Jetstream, by its clock.

    Raises
    ------
    ValueError
        It is not JSON, or not a valid post.
    """
    event = _open(message)
    commit = event.commit
    if commit is None:
        return Other(event.kind)
    if commit.collection != POSTS or commit.operation != "create":
        return Other(DELETION if (commit.collection, commit.operation) == (POSTS, "delete") else commit.collection)
    check_size(len(bytes(commit.record)))
    record = _decode(commit.record)
    check_text(record.text)
    features = [feature for facet in _dicts(record.facets) for feature in _dicts(facet.get("features"))]
    tags = _texts([feature.get("tag") for feature in features], TAG_LETTERS) + _texts(record.tags, TAG_LETTERS)
    language = next(iter(_texts(record.langs, LANGUAGE_LETTERS)), "")
    fields = {
        "author": event.did,
        "source": SOURCE,
        "id": hash_of(f"at://{event.did}/{POSTS}/{commit.rkey}"),
        "time_ms": _ms(record.created_at),
        "text": record.text,
        "tags": [tag for tag in dict.fromkeys(tags) if not tag.startswith(CASH_SIGNS)][:MOST_TAGS],
        "symbols": symbols(cashtags(" ".join([record.text, *(tag for tag in tags if tag.startswith(CASH_SIGNS))])))[
            :MOST_TAGS
        ],
        "language": language,
        "sentiment": sentiment(record.text, language),
        "received_ms": received_ms or event.time_us // 1000,
    }
    return convert(fields, Post)


def _dicts(some: Any) -> list[dict[str, Any]]:
    return [one for one in some[:MOST_TAGS] if isinstance(one, dict)] if isinstance(some, list) else []


def _texts(some: Any, letters: int) -> list[str]:
    """Return the texts in a list that are neither empty nor too long."""
    if not isinstance(some, list):
        return []
    return [one for one in some[:MOST_TAGS] if isinstance(one, str) and 0 < len(one) <= letters]


def _ms(time: datetime) -> int:
    # Some clients leave out the zone; they mean UTC.
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def _recorded(line: bytes) -> Event | Other:
    # Lines that we record begin with our receipt, which is ignored: the Jetstream's own receipt counts.
    return normalise(line if line.startswith(b"{") else line.partition(b" ")[2])


#: Events of a Jetstream (v1), with or without ``<ns received>`` before them.
FORMAT = Format("jetstream", _recorded, (Post,))

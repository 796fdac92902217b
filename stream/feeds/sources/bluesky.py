"""Bluesky: what an event of a Jetstream (v1) says, as a `Post`."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.events import Event
from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.sources.posts import CASH_SIGNS, cashtags, check_size, check_text, number, symbols
from tickertape.stream.feeds.sources.sentiment import sentiment
from tickertape.stream.feeds.sources.units import convert

SOURCE = "bluesky"
POSTS = "app.bsky.feed.post"
#: The kind of an event that takes a post back.
DELETION = "deletion"
# What a post may have of them, and how long they may be.
MOST_TAGS = 256
TAG_LETTERS = 256
LANGUAGE_LETTERS = 64


class _Record(Struct, rename="camel"):
    text: str
    created_at: datetime
    # Anybody may write any of these: what is of another form is left aside.
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
    check_size(len(bytes(commit.record)))
    record = _decode(commit.record)
    check_text(record.text)
    features = [feature for facet in _dicts(record.facets) for feature in _dicts(facet.get("features"))]
    tags = _texts([feature.get("tag") for feature in features], TAG_LETTERS) + _texts(record.tags, TAG_LETTERS)
    language = next(iter(_texts(record.langs, LANGUAGE_LETTERS)), "")
    fields = {
        "author": event.did,
        "source": SOURCE,
        "id": number(f"at://{event.did}/{POSTS}/{commit.rkey}"),
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
    """Return those of a list that are texts, none of them empty or too long."""
    if not isinstance(some, list):
        return []
    return [one for one in some[:MOST_TAGS] if isinstance(one, str) and 0 < len(one) <= letters]


def _ms(time: datetime) -> int:
    # Some clients leave the zone out; what they mean is UTC.
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return int(aware.timestamp() * 1000)


def _recorded(line: bytes) -> Event | Other:
    # Those that we record begin with the time at which we had them; its own is what counts.
    return normalise(line if line.startswith(b"{") else line.partition(b" ")[2])


#: Events of a Jetstream (v1), with or without ``<ns received>`` before them.
FORMAT = Format("jetstream", _recorded, (Post,))

"""Twitter: statuses in the JSON of its API v1.1, decoded into a `Post`."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.fields import hash_of
from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.define.units import convert
from tickertape.stream.feeds.networks.posts import cashtags, check_size, check_text, symbols
from tickertape.stream.feeds.networks.sentiment import sentiment

SOURCE = "twitter"
_TIME = "%a %b %d %H:%M:%S %z %Y"


class _User(Struct):
    id_str: str


class _Original(Struct):
    id_str: str


class _Long(Struct):
    full_text: str | None = None
    entities: Any = None


class _Status(Struct):
    created_at: str
    id_str: str
    user: _User
    text: str | None = None
    full_text: str | None = None
    extended_tweet: _Long | None = None
    entities: Any = None
    lang: str | None = None
    retweet_count: int | None = None
    favorite_count: int | None = None
    reply_count: int | None = None
    retweeted_status: _Original | None = None
    is_retweet: bool | None = None


_decode = msgspec.json.Decoder(_Status).decode


def normalise(message: bytes, received_ms: int = 0) -> Post:
    """Decode a status into a post. A retweet is a post of the retweeter.

    Parameters
    ----------
    message
        The status as received.
    received_ms
        Its receipt by the feed's clock, ms; 0 if unknown.

    Raises
    ------
    ValueError
        It is not JSON, or not a valid post.
    """
    check_size(len(message))
    status = _decode(message)
    # The stream cuts off the text and entities of a long status; `extended_tweet` has them in full.
    long = status.extended_tweet or _Long()
    text = long.full_text or status.full_text or status.text or ""
    check_text(text)
    entities = long.entities if long.full_text else status.entities
    language = "" if status.lang in (None, "und") else status.lang
    marked = _texts(entities, "symbols")
    fields = {
        "author": status.user.id_str,
        "source": SOURCE,
        "id": int(status.id_str),
        "time_ms": int(datetime.strptime(status.created_at, _TIME).timestamp() * 1000),
        "text": text,
        "tags": _texts(entities, "hashtags") or (),
        "symbols": symbols(cashtags(text) if marked is None else marked),
        "likes": status.favorite_count or 0,
        "reposts": status.retweet_count or 0,
        "replies": status.reply_count or 0,
        "copy_of": _copy_of(status, text),
        "language": language,
        "sentiment": sentiment(text, language),
        "received_ms": received_ms,
    }
    return convert(fields, Post)


def _texts(entities: Any, kind: str) -> list[str] | None:
    """Return the texts of entities of a kind, listed as objects or, in data sets, as texts; None if not listed."""
    found = entities.get(kind) if isinstance(entities, dict) else None
    if not isinstance(found, list):
        return None
    texts = [one.get("text") if isinstance(one, dict) else one for one in found]
    return [text for text in texts if isinstance(text, str) and text]


def _copy_of(status: _Status, text: str) -> int | None:
    if status.retweeted_status is not None:
        return int(status.retweeted_status.id_str)
    return hash_of(text) if status.is_retweet else None


#: Statuses of Twitter's API (v1.1).
FORMAT = Format("twitter", normalise, (Post,))

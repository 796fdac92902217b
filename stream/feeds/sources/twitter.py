"""Twitter: what a status in the JSON of its API v1.1 says, as a `Post`."""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tickertape.schemas.post import Post
from tickertape.stream.feeds.define.format import Format
from tickertape.stream.feeds.sources.posts import cashtags, check_size, check_text, number, symbols
from tickertape.stream.feeds.sources.sentiment import sentiment
from tickertape.stream.feeds.sources.units import convert

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
    """Return the post that a status is; a retweet is one too, of the retweeter.

    Parameters
    ----------
    message
        As it came.
    received_ms
        When it came, by the feed's clock, ms; 0: nobody knows.

    Raises
    ------
    ValueError
        It is not JSON, or lacks what a post must have.
    """
    check_size(len(message))
    status = _decode(message)
    # Of a long status the stream's text is cut off, and so are its entities.
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
    """Return the texts of entities of a kind, as objects or as data sets keep them; None where it isn't said."""
    found = entities.get(kind) if isinstance(entities, dict) else None
    if not isinstance(found, list):
        return None
    texts = [one.get("text") if isinstance(one, dict) else one for one in found]
    return [text for text in texts if isinstance(text, str) and text]


def _copy_of(status: _Status, text: str) -> int | None:
    if status.retweeted_status is not None:
        return int(status.retweeted_status.id_str)
    return number(text) if status.is_retweet else None


#: Statuses of Twitter's API (v1.1).
FORMAT = Format("twitter", normalise, (Post,))

"""Twitter: what a status in the JSON of its API v1.1 says, as a `Post`."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct

from schemas.post import Post
from stream.feeds.posts import number, symbols
from stream.feeds.sentiment import sentiment

SOURCE = "twitter"
_TIME = "%a %b %d %H:%M:%S %z %Y"


class _Tag(Struct):
    text: str


class _Entities(Struct, frozen=True):
    # Data sets keep but the text.
    symbols: tuple[str | _Tag, ...] = ()
    hashtags: tuple[str | _Tag, ...] = ()


class _User(Struct):
    id_str: str


class _Original(Struct):
    id_str: str


class _Status(Struct):
    created_at: str
    id_str: str
    user: _User
    text: str = ""
    full_text: str = ""
    entities: _Entities = _Entities()
    lang: str = ""
    retweet_count: int = 0
    favorite_count: int = 0
    reply_count: int = 0
    retweeted_status: _Original | None = None
    is_retweet: bool = False


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
    status = _decode(message)
    text = status.full_text or status.text
    language = "" if status.lang == "und" else status.lang
    fields = {
        "author": status.user.id_str,
        "source": SOURCE,
        "id": int(status.id_str),
        "time_ms": int(datetime.strptime(status.created_at, _TIME).timestamp() * 1000),
        "text": text,
        "tags": _texts(status.entities.hashtags),
        "symbols": symbols(_texts(status.entities.symbols)),
        "likes": status.favorite_count,
        "reposts": status.retweet_count,
        "replies": status.reply_count,
        "copy_of": _copy_of(status, text),
        "language": language,
        "sentiment": sentiment(text, language),
        "received_ms": received_ms,
    }
    return msgspec.convert(fields, Post)


def _texts(tags: Iterable[str | _Tag]) -> list[str]:
    return [tag if isinstance(tag, str) else tag.text for tag in tags]


def _copy_of(status: _Status, text: str) -> int | None:
    if status.retweeted_status is not None:
        return int(status.retweeted_status.id_str)
    return number(text) if status.is_retweet else None

"""Posts, as every feed normalises them."""

from typing import Annotated

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Source, TimeMs

# A decentralised identifier may be this long.
Author = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
# More than any network accepts: a longer text isn't a post.
TEXT_LETTERS = 32_768
Text = Annotated[str, Meta(max_length=TEXT_LETTERS)]
Tags = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=256)]
Symbols = Annotated[tuple[Name, ...], Meta(max_length=256)]


class Post(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One post on one network, as JSON on the topic ``posts``.

    Attributes
    ----------
    author
        The account that wrote the post, as the network names it.
    source
        The network: ``twitter``, ``bluesky``.
    id
        The source's own number for the post, unique within the source. If the source uses names instead, 63 bits of a
        hash of the name.
    time_ms
        Event time: when the post was written by the source's clock, ms since 1970 UTC.
    received_ms
        When the feed received the post, by the feed's clock, ms; 0 if the producer doesn't say. The broker's append
        time is used if it is earlier or if this is 0.
    text
        The text of the post.
    tags
        The hashtags, without ``#``.
    symbols
        The cashtags, in capitals and without ``$``.
    likes, reposts, replies
        How many the post had when it was received.
    copy_of
        For a retweet or a repost, the id of the original, or a hash of the repeated text if the source doesn't give
        the id. None for an original post.
    language
        BCP 47 (``en``), as the source gives it; empty if it doesn't.
    sentiment
        From −1 (bad) to 1 (good); None if the feed didn't score the post.
    """

    author: Author
    source: Source
    id: Id
    time_ms: TimeMs
    text: Text
    tags: Tags = ()
    symbols: Symbols = ()
    likes: Count = 0
    reposts: Count = 0
    replies: Count = 0
    copy_of: Id | None = None
    language: Annotated[str, Meta(max_length=64)] = ""
    sentiment: Annotated[float, Meta(ge=-1, le=1)] | None = None
    received_ms: Annotated[int, Meta(ge=0, le=LATEST_MS)] = 0

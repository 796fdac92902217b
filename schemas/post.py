"""A post, as every feed normalises it."""

from typing import Annotated

from msgspec import Meta, Struct

from tickertape.schemas.fields import LATEST_MS, Id, Name, Source, TimeMs

# A decentralised identifier may be this long.
Author = Annotated[str, Meta(min_length=1, max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
# More than any network takes: what is longer is no post.
TEXT_LETTERS = 32_768
Text = Annotated[str, Meta(max_length=TEXT_LETTERS)]
Tags = Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...], Meta(max_length=256)]
Symbols = Annotated[tuple[Name, ...], Meta(max_length=256)]


class Post(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One post on one network, as JSON on the topic ``posts``.

    Attributes
    ----------
    author
        Who wrote it, as the network names accounts.
    source
        The network: ``twitter``, ``bluesky``.
    id
        The source's own number for it, unique within the source; where it has names instead, 63 bits of a hash of them.
    time_ms
        Event time: when it was written by the source's clock, ms since 1970 UTC.
    received_ms
        When the feed had it, by the feed's clock, ms; 0 where the producer doesn't say. The append time serves where it
        is earlier, or there is no other.
    text
        What it says.
    tags
        Its hashtags, without ``#``.
    symbols
        What it names by cashtags, in capitals and without ``$``.
    likes, reposts, replies
        How many it had when it was received.
    copy_of
        Of a retweet or a repost the original's id, or, where the source doesn't tell, a hash of the text that it
        repeats; None of a post of one's own.
    language
        BCP 47 (``en``), as the source says; empty where it doesn't.
    sentiment
        −1 (bad) to 1 (good); None where nobody has scored it.
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

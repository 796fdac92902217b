"""Slices of posts, from which all metrics of posts are computed."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import ClassVar

import numpy as np

from tickertape.schemas.post import Post
from tickertape.schemas.topics import POSTS
from tickertape.stream.configuration.aliases import Aliases
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.core.columns import floats, ints
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.aggregate import INT, Aggregate, Reducer, Sum
from tickertape.stream.engine.define.recipes import Slicing
from tickertape.stream.engine.define.sketches import Distinct, Frequent

AUTHORS = Distinct("authors", lg_k=11)
HASHTAGS = Frequent("hashtags", size=64)
COPIED = Frequent("copied", size=64)
# The most responses of one post that count, so that the sum over any window fits int64.
MOST_RESPONSES = 2**31


class PostSlice(Aggregate):
    """The aggregate of a slice of posts: mentions, copies, engagement, scores, authors, hashtags and copied originals.

    Copies have no engagement, because a network may report the original's for them.
    """

    reducers: ClassVar[tuple[Reducer, ...]] = (
        Sum("mentions", INT),
        Sum("copies", INT),
        Sum("engagement", INT),
        Sum("scored", INT),
        Sum("score"),
        AUTHORS,
        HASHTAGS,
        COPIED,
    )


def columns(posts: list[Post]) -> Columns:
    n = len(posts)
    copies = ints([post.copy_of is not None for post in posts])
    responses = ints([min(post.likes + post.reposts + post.replies, MOST_RESPONSES) for post in posts])
    return {
        "mentions": np.ones(n, np.int64),
        "copies": copies,
        "engagement": np.where(copies, 0, responses),
        "scored": ints([post.sentiment is not None for post in posts]),
        "score": floats([post.sentiment or 0.0 for post in posts]),
        **AUTHORS.lift(np.fromiter([_hash(post) for post in posts], np.uint64, n)),
        **HASHTAGS.lift([{tag.lower() for tag in post.tags} for post in posts], n),
        **COPIED.lift([() if post.copy_of is None else (str(post.copy_of),) for post in posts], n),
    }


def _hash(post: Post) -> int:
    # An author of the same name on another network is another person.
    return int.from_bytes(blake2b(f"{post.source}|{post.author}".encode(), digest_size=8).digest(), "little")


def named(settings: Settings) -> Callable[[Post], Sequence[str]]:
    """Return a function that finds the symbols that a post names, by cashtags and by aliases in its text."""
    aliases = Aliases(settings.aliases)
    return lambda post: aliases.named(post.text, post.symbols)


#: Slices of posts, from the topic ``posts``.
POST_SLICES = Slicing(topic=POSTS, record=Post, columns=columns, aggregate=PostSlice(), lateness_ms=60_000, names=named)

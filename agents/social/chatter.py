"""What posts say of a symbol in a window: how many, by whom, how they feel, and how much of it is copied."""

import numpy as np
from msgspec import Struct

from tickertape.agents.social.posts import AUTHORS, COPIED, HASHTAGS, POST_SLICES, PostSlice
from tickertape.schemas.topics import SOCIAL
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing

HASHTAGS_SHOWN = 10
COPIED_SHOWN = 3


class Chatter(Struct, frozen=True, kw_only=False):
    """What posts say of one symbol, on one network or on all; JSON on the topic ``social``.

    Attributes
    ----------
    symbol, source, resolution, start_ms
        Its identity: ``AAPL``, ``twitter`` or ``all``, ``1m`` to ``1h``, and where it begins, ms since 1970 UTC.
    mentions
        How many posts name the symbol, copies included.
    copies
        How many of them are retweets or reposts.
    copy_share
        copies / mentions.
    most_copied
        The originals that were copied most, by id, and how often at least.
    unique_authors
        How many accounts these posts are of, estimated: see `Distinct`.
    unique_authors_error
        The estimate's standard error, 2.3 % of it.
    engagement
        Likes, reposts and replies that the posts had when they were received, of one post at most 2^31; those of copies
        are left out.
    scored
        How many posts have a score.
    sentiment
        The mean of these scores, −1 to 1; null where there is none.
    hashtags
        The most frequent hashtags, in lower case, and in how many posts each is at least: see `Frequent`.
    hashtags_error
        In how many more posts a hashtag may be.
    final
        False while more posts may come.
    revision
        The number of posts in it: of an identity the highest (final, revision) holds.
    incomplete
        True where retention took records of it before they were read.
    """

    symbol: str
    source: str
    resolution: str
    start_ms: int
    mentions: int
    copies: int
    copy_share: float
    most_copied: list[tuple[str, int]]
    unique_authors: int
    unique_authors_error: float
    engagement: int
    scored: int
    sentiment: float | None
    hashtags: list[tuple[str, int]]
    hashtags_error: int
    final: bool
    revision: int
    incomplete: bool


class PostWindow(PostSlice):
    """Slices of posts, as they are, and what follows from them."""

    def finish(self, partials: Columns) -> Columns:
        mentions, scored = partials["mentions"], partials["scored"]
        authors = AUTHORS.estimate(partials[AUTHORS.column])
        hashtags = partials[HASHTAGS.column]
        return partials | {
            "copy_share": partials["copies"] / mentions,
            "most_copied": COPIED.top(partials[COPIED.column], COPIED_SHOWN),
            "unique_authors": np.rint(authors).astype(np.int64),
            "unique_authors_error": authors * AUTHORS.error,
            "sentiment": np.divide(partials["score"], scored, out=np.full(len(scored), np.nan), where=scored > 0),
            "hashtags": HASHTAGS.top(hashtags, HASHTAGS_SHOWN),
            "hashtags_error": HASHTAGS.error(hashtags),
        }


CHATTER = Windowing(
    slicing=POST_SLICES,
    aggregate=PostWindow(),
    resolutions={"1m": 60_000, "5m": 300_000, "1h": 3_600_000},
    sink=SOCIAL,
    result=Chatter,
    revision="mentions",
    # A minute of slices is open, and their sketches are merged anew for each.
    provisional_seconds=1.0,
)

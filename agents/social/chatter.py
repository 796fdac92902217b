"""Windows of posts about a symbol: mentions, copies, authors, engagement, sentiment and hashtags."""

import numpy as np
from msgspec import Struct

from tickertape.agents.social.posts import AUTHORS, COPIED, HASHTAGS, POST_SLICES, PostSlice
from tickertape.schemas.topics import SOCIAL
from tickertape.stream.engine.core.table import Columns
from tickertape.stream.engine.define.recipes import Windowing

HASHTAGS_SHOWN = 10
COPIED_SHOWN = 3


class Chatter(Struct, frozen=True, kw_only=False):
    """Metrics of the posts about one symbol, on one network or over all, as JSON on the topic ``social``.

    Attributes
    ----------
    symbol, source, resolution
        The window's series: for example ``AAPL``, ``twitter`` or ``all``, and ``1m`` to ``1h``.
    start_ms
        The start of the window: event time since 1970 UTC.
    mentions
        The number of posts that name the symbol, including copies.
    copies
        The number of these posts that are retweets or reposts.
    copy_share
        copies / mentions.
    most_copied
        The ids of the three originals with the most copies, each with a lower bound of its number of copies.
    unique_authors
        The estimated number of accounts that wrote these posts.
    unique_authors_error
        The standard error of that estimate: 2.3 % of it.
    engagement
        Likes, reposts and replies that the posts had when they were received, without those of copies. One post counts
        at most 2^31.
    scored
        The number of posts with a sentiment score.
    sentiment
        The mean of these scores, −1 to 1; null if there are none.
    hashtags
        The ten most frequent hashtags, in lower case, each with a lower bound of its number of posts.
    hashtags_error
        By how much the numbers of posts in hashtags may be too low; 0 if they are exact.
    final
        False while posts on time may still change the window.
    revision
        The number of posts in the window. Of the records with one key, the one with the highest (final, revision)
        counts.
    incomplete
        True if retention removed records of the window before they were read.
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
    """The aggregate of a window: a slice's aggregate, and the metrics computed from it."""

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


#: Windows of posts, from `POST_SLICES`.
CHATTER = Windowing(
    slicing=POST_SLICES,
    aggregate=PostWindow(),
    resolutions={"1m": 60_000, "5m": 300_000, "1h": 3_600_000},
    sink=SOCIAL,
    result=Chatter,
    revision="mentions",
    # A minute of slices is open, and every provisional result merges all of their sketches again.
    provisional_seconds=1.0,
)

"""The one catalogue of topics: partitions, retention, clean-up and what a record's key is."""

from typing import Literal

from msgspec import Struct, structs

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Topic(Struct, frozen=True, kw_only=True):
    """A topic as it is created.

    Attributes
    ----------
    name
        Its name on the broker.
    holds
        What a record is, in one line.
    key
        What its key is made of; upserts share one.
    partitions
        How many when created; ``settings`` may say otherwise. Only ``growable`` topics may get more later.
    retention_ms
        How long records are kept; -1: for ever.
    cleanup
        ``delete`` by age, ``compact``: the last record of a key is kept, or ``compact,delete``: both.
    growable
        True where partitions may be added while it runs.
    max_record_bytes
        The largest record that the broker takes.
    append_time
        True where the broker's clock stamps the records (``message.timestamp.type=LogAppendTime``), so that replayed
        history is not past retention at once.
    segment_bytes
        How large a file of its log grows; only those that are full are compacted.
    """

    name: str
    holds: str
    key: str = "symbol, source, resolution, start"
    partitions: int = 4
    retention_ms: int = DAY_MS
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    growable: bool = False
    max_record_bytes: int = 1 << 20
    append_time: bool = True
    segment_bytes: int = 1 << 30


TRADES = Topic(
    name="trades",
    holds="a trade, normalised, as JSON; or a heartbeat",
    key="symbol",
    partitions=4,
    retention_ms=DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
QUOTES = Topic(
    name="quotes",
    holds="a best bid and ask, normalised, as JSON; or a heartbeat",
    key="symbol",
    partitions=4,
    retention_ms=DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
POSTS = Topic(
    name="posts",
    holds="a post, normalised, as JSON; or a heartbeat",
    key="author",
    partitions=4,
    retention_ms=7 * DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
SLICES = Topic(
    name="slices",
    holds="a frame: the upserts of one flush of one partition for one shard, as columns",
    key="topic and partition",
    partitions=8,
    retention_ms=DAY_MS,
    max_record_bytes=16 << 20,
)
# Sinks are cleaned by age alone. Compaction keeps the last record of a key, and the last need not be the final: a
# worker that was frozen still publishes what is provisional. What is published as it changes is kept as its input is.
BARS = Topic(
    name="bars",
    holds="a bar, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=DAY_MS,
)
QUOTE_BARS = Topic(
    name="quote-bars",
    holds="a bar of quotes, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=DAY_MS,
)
ROLLING = Topic(
    name="rolling",
    holds="a window that slides by the slice, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start, kind",
    partitions=4,
    retention_ms=DAY_MS,
)
INDICATORS = Topic(
    name="indicators",
    holds="what follows from one final bar after another, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start, kind",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
SOCIAL = Topic(
    name="social",
    holds="what posts say of a symbol in a window, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
SIGNALS = Topic(
    name="signals",
    holds="a rule that came true, as JSON; of a key the highest (final, revision) holds",
    key="symbol, source, resolution, start, rule",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
LATE = Topic(
    name="late",
    holds="a record behind its lane's frontier, or a slice past the horizon, and by how much",
    key="topic, partition, offset; of a slice topic, partition, source, symbol, start",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    holds="a record that was rejected: where, why, and its bytes",
    key="topic, partition, offset",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
WINDOW_STATE = Topic(
    name="window-state",
    holds="a piece of a snapshot of a shard's windows",
    key="group, shard, slot, piece",
    partitions=8,
    # It outlives the frames that it speaks of: what follows final bars goes on after a week's rest.
    retention_ms=7 * DAY_MS,
    cleanup="compact,delete",
    segment_bytes=4 << 20,
)
COMMIT_STATE = Topic(
    name="commit-state",
    holds="a checkpoint that is too long for a commit",
    key="group, topic, partition, and a random part",
    partitions=1,
    # A worker deletes what newer commits have replaced, and writes daily what hasn't changed. Retention takes the rest.
    retention_ms=30 * DAY_MS,
    cleanup="compact,delete",
    max_record_bytes=16 << 20,
    segment_bytes=16 << 20,
)
CONTROL = Topic(
    name="control",
    holds="how many partitions feeds use, by event time; how many workers there are; how far feeds are that can resume",
    key="kind, and topic, group or source",
    partitions=1,
    retention_ms=-1,
    cleanup="compact",
)

# While `slices` is made anew, its frames wait here; then it goes.
RESHARDED = structs.replace(SLICES, name="slices-resharded")

CATALOGUE = (
    *(TRADES, QUOTES, POSTS, SLICES),
    *(BARS, QUOTE_BARS, ROLLING, INDICATORS, SOCIAL, SIGNALS),
    *(LATE, DEAD_LETTERS, WINDOW_STATE, COMMIT_STATE, CONTROL),
)

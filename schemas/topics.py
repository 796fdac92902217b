"""The catalogue of topics: the contents, key, partitions, retention and clean-up of each."""

from typing import Literal

from msgspec import Struct, structs

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Topic(Struct, frozen=True, kw_only=True):
    """A topic, with the configuration that it is created with.

    Attributes
    ----------
    name
        The name on the broker.
    holds
        What a record is, in one line.
    key
        The fields that make up a record's key. Upserts of one result share a key.
    partitions
        The number of partitions at creation, unless ``settings`` give another. Only ``growable`` topics may get more
        later.
    retention_ms
        How long records are kept; -1: for ever.
    cleanup
        ``delete`` deletes by age, ``compact`` keeps the last record of a key, ``compact,delete`` does both.
    growable
        True if partitions may be added while the pipeline runs.
    max_record_bytes
        The largest record that the broker accepts.
    append_time
        True if the broker's clock stamps the records (``message.timestamp.type=LogAppendTime``). Otherwise replayed
        history could be past retention at once.
    segment_bytes
        The size at which a file of the log is full. Only full files are compacted.
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

    @property
    def is_input(self) -> bool:
        """Whether the pipeline reads the topic as input. Only input topics are ``growable``."""
        return self.growable


TRADES = Topic(
    name="trades",
    holds="a trade, normalised, as JSON; or a bundle of them; or a heartbeat",
    key="symbol",
    partitions=4,
    retention_ms=DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
QUOTES = Topic(
    name="quotes",
    holds="a best bid and ask, normalised, as JSON; or a bundle of them; or a heartbeat",
    key="symbol",
    partitions=4,
    retention_ms=DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
BOOKS = Topic(
    name="books",
    holds="the best levels of an order book in one second, as JSON; or a bundle of them; or a heartbeat",
    key="symbol",
    partitions=4,
    retention_ms=DAY_MS,
    max_record_bytes=16 << 20,
)
POSTS = Topic(
    name="posts",
    holds="a post, normalised, as JSON; or a bundle of them; or a heartbeat",
    key="author",
    partitions=4,
    retention_ms=7 * DAY_MS,
    growable=True,
    max_record_bytes=16 << 20,
)
# No agent of ours reads these two, so they are no inputs.
PERPETUALS = Topic(
    name="perpetuals",
    holds="figures of a perpetual, as JSON: mark price, index, funding, open interest; or a heartbeat",
    key="symbol",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
LIQUIDATIONS = Topic(
    name="liquidations",
    holds="a liquidation, as JSON; or a heartbeat",
    key="symbol",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
SLICES = Topic(
    name="slices",
    holds="frames: the slices that one flush of a worker sends to one shard, as columns; a frame for each partition",
    key="topic",
    partitions=8,
    retention_ms=DAY_MS,
    max_record_bytes=16 << 20,
)
# Sinks are cleaned by age alone. Compaction would keep the last record of a key, which need not be the final one: a
# worker that was frozen may still publish a provisional result. Provisional results are kept as long as their input.
BARS = Topic(
    name="bars",
    holds="a bar, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=DAY_MS,
)
QUOTE_BARS = Topic(
    name="quote-bars",
    holds="a bar of quotes, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=DAY_MS,
)
ROLLING = Topic(
    name="rolling",
    holds="a window that slides by one slice at a time, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start, kind",
    partitions=4,
    retention_ms=DAY_MS,
)
INDICATORS = Topic(
    name="indicators",
    holds="an indicator, computed from final bars, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start, kind",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
SOCIAL = Topic(
    name="social",
    holds="metrics of the posts about a symbol in a window, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
SIGNALS = Topic(
    name="signals",
    holds="a signal: a rule that became true, as JSON; per key, the highest (final, revision) is valid",
    key="symbol, source, resolution, start, rule",
    partitions=4,
    retention_ms=7 * DAY_MS,
)
LATE = Topic(
    name="late",
    holds="a record behind its lane's frontier, or a slice past the horizon, and how late it was",
    key="topic, partition, offset, index in a bundle; for a slice: topic, partition, source, symbol, start",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
DEAD_LETTERS = Topic(
    name="dead-letters",
    holds="a rejected record: its position, the reason, and its bytes",
    key="topic, partition, offset, index in a bundle",
    partitions=1,
    retention_ms=7 * DAY_MS,
)
WINDOW_STATE = Topic(
    name="window-state",
    holds="a piece of a snapshot of a shard's windows",
    key="group, shard, slot, piece",
    partitions=8,
    # Longer than the frames: results derived from final bars can be continued after a week's pause.
    retention_ms=7 * DAY_MS,
    cleanup="compact,delete",
    segment_bytes=4 << 20,
)
COMMIT_STATE = Topic(
    name="commit-state",
    holds="a checkpoint that is too long for a commit",
    key="group, topic, partition, and a random part",
    partitions=1,
    # A worker deletes replaced checkpoints and rewrites unchanged ones daily. Retention deletes what a crash leaves.
    retention_ms=30 * DAY_MS,
    cleanup="compact,delete",
    max_record_bytes=16 << 20,
    segment_bytes=16 << 20,
)
ALERTS = Topic(
    name="alerts",
    holds="a fact about an alert: due, sending, sent or skipped; or the position up to which signals are judged",
    key="kind of fact, channel, and stage and signal, or message",
    # One partition: its owner is the only process that sends.
    partitions=1,
    # Longer than the signals, and than an alert may wait.
    retention_ms=14 * DAY_MS,
    cleanup="compact,delete",
    segment_bytes=4 << 20,
)
CONTROL = Topic(
    name="control",
    holds="the number of partitions that feeds use; the number of workers; the positions from which feeds resume",
    key="kind, and topic, group or source",
    partitions=1,
    retention_ms=-1,
    cleanup="compact",
)
INSTRUMENTS = Topic(
    name="instruments",
    holds="an instrument of a source, as JSON: names, kind, tick, step, contract; per key, the last record is valid",
    key="symbol, source",
    partitions=1,
    retention_ms=-1,
    cleanup="compact",
)

# Holds the frames of `slices` while that topic is created again, and is deleted afterwards.
RESHARDED = structs.replace(SLICES, name="slices-resharded")

CATALOGUE = (
    *(TRADES, QUOTES, BOOKS, POSTS, PERPETUALS, LIQUIDATIONS, SLICES),
    *(BARS, QUOTE_BARS, ROLLING, INDICATORS, SOCIAL, SIGNALS),
    *(LATE, DEAD_LETTERS, WINDOW_STATE, COMMIT_STATE, ALERTS, CONTROL, INSTRUMENTS),
)

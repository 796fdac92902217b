"""The metrics of feeds, with unit, labels and meaning. See `metrics` for the rules of their names.

The label ``symbol`` has the first `MOST_SYMBOLS` symbols that a source is asked for, and `OTHERS` for all the others.
"""

from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram

from tickertape.stream.telemetry.registries import FEED

MOST_SYMBOLS = 100
OTHERS = "others"


def label_of(symbols: Sequence[str]) -> Callable[[str], str]:
    """Return a function from a symbol to its label, for a source that is asked for some symbols."""
    known = frozenset(symbols[:MOST_SYMBOLS])
    return lambda symbol: symbol if symbol in known else OTHERS


FEED_SENT = Counter(
    "tickertape_feed_sent_records",
    "Records sent, without heartbeats.",
    ("topic",),
    registry=FEED,
)
FEED_NEWEST = Gauge(
    "tickertape_feed_newest_timestamp_seconds",
    "The newest event time that the feed has sent for a source.",
    ("topic", "source"),
    registry=FEED,
)

# Live feeds.

FEED_RECONNECTS = Counter(
    "tickertape_feed_reconnects",
    "How often a connection to the source was opened again.",
    ("source",),
    registry=FEED,
)
FEED_DROPPED = Counter(
    "tickertape_feed_dropped_messages",
    "Messages that were dropped, oldest first, because Kafka was too slow and the buffer was full.",
    ("source",),
    registry=FEED,
)
FEED_UNREADABLE = Counter(
    "tickertape_feed_unreadable_messages",
    "Messages that can't be read.",
    ("source",),
    registry=FEED,
)
FEED_REPEATED = Counter(
    "tickertape_feed_repeated_records",
    "Events that were received more than once, for example after a reconnect, and were sent only once.",
    ("source",),
    registry=FEED,
)
FEED_GAPS = Gauge(
    "tickertape_feed_gaps",
    "Gaps in the source's contiguous ids. Events that arrive late fill them.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_MISSING = Gauge(
    "tickertape_feed_missing_records",
    "Events that are missing in the gaps of the source's ids.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_REFILLED = Counter(
    "tickertape_feed_refilled_records",
    "Events that were missing, and that the feed requested and received.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_UNFILLABLE = Counter(
    "tickertape_feed_unfillable_records",
    "Events that were missing and that the feed gave up: the source doesn't have them, or not in time.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_HELD = Gauge(
    "tickertape_feed_held_records",
    "Events that the feed holds back until missing earlier ones are received or given up.",
    ("source",),
    registry=FEED,
)
FEED_BOOKS = Gauge(
    "tickertape_feed_books",
    "Order books of the source, by state: syncing, live or stale. Only live ones are published.",
    ("source", "state"),
    registry=FEED,
)
FEED_BOOK_BREAKS = Counter(
    "tickertape_feed_book_breaks",
    "How often an order book could not be trusted any more and began anew, by reason.",
    ("source", "reason"),
    registry=FEED,
)
FEED_WAITING = Gauge(
    "tickertape_feed_waiting_bytes",
    "The size of the source's messages that wait to be sent to Kafka.",
    ("source",),
    registry=FEED,
)
FEED_CONNECTIONS = Gauge(
    "tickertape_feed_connections",
    "Connections to the source that are open; for a moment two where one replaces the other.",
    ("source",),
    registry=FEED,
)
FEED_STREAMS = Gauge(
    "tickertape_feed_streams",
    "Streams that the source was asked for, by state: awaited, confirmed, refused, or silent against their own pace.",
    ("source", "state"),
    registry=FEED,
)
FEED_BLOCKED = Gauge(
    "tickertape_feed_blocked_seconds",
    "For how long the source's host wants to be left alone, because it was asked too often.",
    ("source",),
    registry=FEED,
)
FEED_SILENT = Gauge(
    "tickertape_feed_silent_streams",
    "Streams that are silent against their own pace, by symbol.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_RECEIVED = Gauge(
    "tickertape_feed_received_timestamp_seconds",
    "When the feed received the newest event of the symbol.",
    ("source", "symbol"),
    registry=FEED,
)
FEED_DELAY = Histogram(
    "tickertape_feed_delay_seconds",
    "The time from an event to its receipt, by the clocks of the source and of the feed, for the first event of each "
    "batch. Below zero, one of the clocks is wrong.",
    ("source",),
    registry=FEED,
    buckets=(-1.0, -0.1, 0.0, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
FEED_BUDGET = Gauge(
    "tickertape_feed_budget_used_ratio",
    "How much of what a host allows at once is used: connections, or requests by their weight. All feeds of the "
    "machine share it. At 1, they wait.",
    ("host", "budget"),
    registry=FEED,
)
FEED_FAILURES = Counter(
    "tickertape_feed_failures",
    "How often a feed of `tickertape feed run` failed and was started again.",
    ("source",),
    registry=FEED,
)

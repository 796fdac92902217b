"""Every metric of the processes, its unit, its labels and what it means; and the server that shows them.

A name ends with its unit, a base unit, and a counter's with ``_total``. Labels have few values: topics, partitions,
sources, workers; symbols only of the watch list. A worker's metrics are set by the block, by the flush, by the second
or by the commit, never by the event. ``tickertape metrics`` prints them all.
"""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, NamedTuple, TypeAlias
from wsgiref.simple_server import make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.metrics import MetricWrapperBase

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import ConfigError
from tickertape.stream.telemetry.serving import Handler, Server

PREFIX = "tickertape_"
PATH = "/metrics"
# The server looks this often whether it is to end.
_POLL_SECONDS = 0.1

# When a series began would be one more series for each of ours.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


#: What a process of each kind shows.
WORKER, FEED, SUPERVISOR = _registry(), _registry(), _registry()
REGISTRIES = {"worker": WORKER, "feed": FEED, "supervisor": SUPERVISOR}

# What a block, a flush or a commit takes; what lies between an event and its result.
_BRIEF = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_LONGER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_RECORDS = (1, 8, 64, 256, 1024, 2048, 4096, 8192, 16_384)

# Records, once they are committed. Each is in one commit only, whoever makes it, so the sum over workers is right
# however partitions move.

RECORDS = Counter(
    "tickertape_records",
    "Records read and committed, each under what became of it; their sum is all that was read.",
    ("topic", "partition", "outcome"),
    registry=WORKER,
)
LOST = Counter(
    "tickertape_lost_records",
    "Records that retention took before they were read.",
    ("topic", "partition"),
    registry=WORKER,
)

# Where a partition stands: of those that the worker owns, and gone when they are another's.

READ_OFFSET = Gauge(
    "tickertape_read_offset",
    "The offset that the partition has been read to.",
    ("topic", "partition"),
    registry=WORKER,
)
END_OFFSET = Gauge(
    "tickertape_end_offset",
    "The offset that the partition's next record gets.",
    ("topic", "partition"),
    registry=WORKER,
)
LAG = Gauge(
    "tickertape_lag_records",
    "How many records of the partition are still to be read.",
    ("topic", "partition"),
    registry=WORKER,
)
COMMITTED_OFFSET = Gauge(
    "tickertape_committed_offset",
    "The committed offset: that of the oldest record of anything open. It is behind what is read by design.",
    ("topic", "partition"),
    registry=WORKER,
)
CHECKPOINT_TIMESTAMP = Gauge(
    "tickertape_checkpoint_timestamp_seconds",
    "When the partition's last checkpoint was committed or, none yet, when the worker took it up.",
    ("topic", "partition"),
    registry=WORKER,
)
WATERMARK = Gauge(
    "tickertape_watermark_timestamp_seconds",
    "The event time that a source has come to in the partition, as of the last checkpoint.",
    ("topic", "partition", "source"),
    registry=WORKER,
)
FINAL = Gauge(
    "tickertape_final_timestamp_seconds",
    "The event time up to which results of an input topic are final in every shard that the worker owns.",
    ("topic", "source"),
    registry=WORKER,
)
SNAPSHOT_BYTES = Gauge(
    "tickertape_snapshot_bytes",
    "The size of the last snapshot of the shard's windows that the worker made.",
    ("partition",),
    registry=WORKER,
)
SNAPSHOT_TIMESTAMP = Gauge(
    "tickertape_snapshot_timestamp_seconds",
    "When that snapshot was made.",
    ("partition",),
    registry=WORKER,
)

# The worker itself.

OWNED_PARTITIONS = Gauge(
    "tickertape_owned_partitions",
    "How many partitions of the topic the worker owns.",
    ("topic",),
    registry=WORKER,
)
TOPIC_PARTITIONS = Gauge(
    "tickertape_topic_partitions",
    "How many partitions the topic has, as far as the worker has heard.",
    ("topic",),
    registry=WORKER,
)
REBALANCES = Counter(
    "tickertape_rebalances",
    "Rebalances that the worker took part in, the one in which it joined included.",
    registry=WORKER,
)
REFUSED_COMMITS = Counter(
    "tickertape_refused_commits",
    "Commits that Kafka refused, for the partitions had another owner by then.",
    registry=WORKER,
)
COMMIT_SECONDS = Histogram(
    "tickertape_commit_seconds",
    "A checkpoint: from publishing what is open, through its delivery, to the commit's acknowledgement.",
    registry=WORKER,
    buckets=_LONGER,
)
PRODUCER_BUFFER = Gauge(
    "tickertape_producer_buffer_bytes",
    "What was produced and is not acknowledged.",
    registry=WORKER,
)
FEED.register(PRODUCER_BUFFER)
HELD_PARTITIONS = Gauge(
    "tickertape_held_partitions",
    "Partitions of a backlog that wait, for they are ahead of others in event time.",
    registry=WORKER,
)

# Work, by the topic whose blocks it is.

BLOCK_RECORDS = Histogram(
    "tickertape_block_records",
    "How many records a block has.",
    ("topic",),
    registry=WORKER,
    buckets=_RECORDS,
)
DECODE_SECONDS = Histogram(
    "tickertape_decode_seconds",
    "Making columns of the bytes of a block, or of several small ones.",
    ("topic",),
    registry=WORKER,
    buckets=_BRIEF,
)
FOLD_SECONDS = Histogram(
    "tickertape_fold_seconds",
    "Folding the columns of a block, or of several small ones, into slices; of the topic of slices, reading frames.",
    ("topic",),
    registry=WORKER,
    buckets=_BRIEF,
)
PUBLISH_SECONDS = Histogram(
    "tickertape_publish_seconds",
    "A flush: making frames of slices or, for the slices' topic, merging them and making results.",
    ("topic",),
    registry=WORKER,
    buckets=_BRIEF,
)
EVENT_TO_RESULT_SECONDS = Histogram(
    "tickertape_event_to_result_seconds",
    "From the event time of what is new to the flush that has it among results; of a flush, what waited longest.",
    ("topic",),
    registry=WORKER,
    buckets=_LONGER,
)
RESULTS = Counter(
    "tickertape_results",
    "Results published on the topic, updates of the same result included.",
    ("topic",),
    registry=WORKER,
)
OPEN_WINDOWS = Gauge(
    "tickertape_open_windows",
    "Windows in memory, by the topic that their results go to.",
    ("topic",),
    registry=WORKER,
)

# Feeds.

FEED_SENT = Counter(
    "tickertape_feed_sent_records",
    "Records sent, heartbeats aside.",
    ("topic",),
    registry=FEED,
)
FEED_NEWEST = Gauge(
    "tickertape_feed_newest_timestamp_seconds",
    "The newest event time that the feed has sent of a source.",
    ("topic", "source"),
    registry=FEED,
)

# Live feeds.

FEED_RECONNECTS = Counter(
    "tickertape_feed_reconnects",
    "Connections to the source beyond the first of each line.",
    ("source",),
    registry=FEED,
)
FEED_DROPPED = Counter(
    "tickertape_feed_dropped_messages",
    "Messages that Kafka took too long for: the buffer was full, and the oldest went.",
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
    "Events that had come before, as after a reconnect, and weren't sent again.",
    ("source",),
    registry=FEED,
)
FEED_GAPS = Gauge(
    "tickertape_feed_gaps",
    "Gaps in the source's contiguous ids. What comes late fills them.",
    ("source",),
    registry=FEED,
)
FEED_MISSING = Gauge(
    "tickertape_feed_missing_records",
    "Events that are missing in these gaps.",
    ("source",),
    registry=FEED,
)
FEED_WAITING = Gauge(
    "tickertape_feed_waiting_bytes",
    "Messages of the source that wait to be sent to Kafka.",
    ("source",),
    registry=FEED,
)

# The supervisor.

RESTARTS = Counter(
    "tickertape_worker_restarts",
    "How many times a worker was started again that had ended by itself.",
    ("worker",),
    registry=SUPERVISOR,
)
WORKERS = Gauge(
    "tickertape_workers",
    "How many workers run.",
    registry=SUPERVISOR,
)


class Declared(NamedTuple):
    """A metric as it is told of."""

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    meaning: str


def declared(kind: str) -> Iterator[Declared]:
    """Yield each metric that a kind of process shows."""
    for metric in [value for value in globals().values() if isinstance(value, MetricWrapperBase)]:
        (family,) = metric.describe()
        if family.name in REGISTRIES[kind]._names_to_collectors:
            name = family.name + "_total" if family.type == "counter" else family.name
            unit = family.name.rpartition("_")[2]
            yield Declared(name, family.type, unit, tuple(metric._labelnames), family.documentation)


#: Makes what lies at a path, for who asked for it at this host and port.
Page: TypeAlias = Callable[[str], bytes]


@contextmanager
def served(settings: Settings, registry: CollectorRegistry, pages: Mapping[str, Page] | None = None) -> Iterator[str]:
    """Show metrics over HTTP while the block runs, as the settings say.

    Parameters
    ----------
    settings
        ``metrics_port`` and ``metrics_host``.
    registry
        What to show.
    pages
        What else there is, as JSON, by path.

    Yields
    ------
    str
        The address, ``http://127.0.0.1:9108``; empty where they are not to be shown.

    Raises
    ------
    ConfigError
        Nothing can be served there.
    """
    if settings.metrics_port < 0:
        yield ""
        return
    show, other = make_wsgi_app(registry), pages or {}

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        page = other.get(environ["PATH_INFO"])
        if page is None:
            return show(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [page(environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}")]

    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = make_server(host, port, answer, Server, Handler)
    except OSError as error:
        raise ConfigError(
            f"metrics can't be served at {host}:{port} ({error.strerror}): set TICKERTAPE_METRICS_PORT to another, "
            "to 0 for any that is free, or to -1 for none"
        ) from None
    with server:
        Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True).start()
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()


def reserve(host: str) -> socket.socket:
    """Take a free port for somebody else: nobody gets it by chance, and who asks for it by its number may listen.

    That is what Linux makes of two sockets that may share an address while neither listens.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((host, 0))
    return held

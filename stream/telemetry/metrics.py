"""The metrics of workers, the supervisor, alerts and export, with unit, labels and meaning; see `feed_metrics` too.

A name ends with its base unit, and a counter's name also with ``_total``. Labels have few values: topics, partitions,
sources, workers, symbols of the watch list, and a limited number of a feed's symbols. A worker sets its metrics once
per block, flush, second or commit, never once per event. ``tickertape metrics`` prints all of them.
"""

from prometheus_client import Counter, Gauge, Histogram

from tickertape.stream.telemetry.registries import (
    ALERTING,
    BRIEF,
    EXPORTING,
    FEED,
    LONGER,
    MANY_RECORDS,
    SUPERVISOR,
    WORKER,
)

# Records are counted when they are committed. Each record is in one commit only, so the sum over workers stays correct
# when partitions move.

RECORDS = Counter(
    "tickertape_records",
    "Records read and committed, by outcome: counted, late, rejected, repeated, unmatched, heartbeats. In place of a "
    "bundle, each of its events is counted. The sum over all outcomes, plus bundles and less bundled events, is the "
    "number of records read.",
    ("topic", "partition", "outcome"),
    registry=WORKER,
)
LOST = Counter(
    "tickertape_lost_records",
    "Records that retention deleted before they were read.",
    ("topic", "partition"),
    registry=WORKER,
)

BUNDLES = Counter(
    "tickertape_bundles",
    "Bundles read and committed: records that hold many events.",
    ("topic", "partition"),
    registry=WORKER,
)
BUNDLED = Counter(
    "tickertape_bundled_events",
    "The events that these bundles held.",
    ("topic", "partition"),
    registry=WORKER,
)

# The positions of the partitions that the worker owns. When another worker owns a partition, its series are removed.

READ_OFFSET = Gauge(
    "tickertape_read_offset",
    "The offset up to which the partition has been read.",
    ("topic", "partition"),
    registry=WORKER,
)
END_OFFSET = Gauge(
    "tickertape_end_offset",
    "The offset of the partition's next record.",
    ("topic", "partition"),
    registry=WORKER,
)
LAG = Gauge(
    "tickertape_lag_records",
    "The number of records of the partition that are still to be read.",
    ("topic", "partition"),
    registry=WORKER,
)
COMMITTED_OFFSET = Gauge(
    "tickertape_committed_offset",
    "The committed offset: the oldest record that any open slice or window needs. By design it is behind the read "
    "offset.",
    ("topic", "partition"),
    registry=WORKER,
)
CHECKPOINT_TIMESTAMP = Gauge(
    "tickertape_checkpoint_timestamp_seconds",
    "When the partition's last checkpoint was committed, or when the worker became its owner if there is none yet.",
    ("topic", "partition"),
    registry=WORKER,
)
WATERMARK = Gauge(
    "tickertape_watermark_timestamp_seconds",
    "The watermark of a source in the partition, as of the last checkpoint.",
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
    "The size of the worker's last snapshot of the shard's windows.",
    ("partition",),
    registry=WORKER,
)
SNAPSHOT_TIMESTAMP = Gauge(
    "tickertape_snapshot_timestamp_seconds",
    "When the worker's last snapshot of the shard's windows was made.",
    ("partition",),
    registry=WORKER,
)

# The worker itself.

OWNED_PARTITIONS = Gauge(
    "tickertape_owned_partitions",
    "The number of partitions of the topic that the worker owns.",
    ("topic",),
    registry=WORKER,
)
TOPIC_PARTITIONS = Gauge(
    "tickertape_topic_partitions",
    "The topic's number of partitions, as of what the worker has read.",
    ("topic",),
    registry=WORKER,
)
REBALANCES = Counter(
    "tickertape_rebalances",
    "Rebalances that the worker took part in, including the one in which it joined.",
    registry=WORKER,
)
REFUSED_COMMITS = Counter(
    "tickertape_refused_commits",
    "Commits that Kafka refused because the partitions already had another owner.",
    registry=WORKER,
)
COMMIT_SECONDS = Histogram(
    "tickertape_commit_seconds",
    "The time of a checkpoint, from its last flush through delivery to the commit's acknowledgement.",
    registry=WORKER,
    buckets=LONGER,
)
PRODUCER_BUFFER = Gauge(
    "tickertape_producer_buffer_bytes",
    "The size of records that were produced and are not acknowledged yet.",
    registry=WORKER,
)
FEED.register(PRODUCER_BUFFER)
HELD_PARTITIONS = Gauge(
    "tickertape_held_partitions",
    "Partitions with a backlog that the worker doesn't read for now, because they are ahead of others in event time.",
    registry=WORKER,
)
HOLDS = Counter(
    "tickertape_holds_total",
    "How often the worker began to hold a partition with a backlog, because it was ahead of others in event time.",
    registry=WORKER,
)

# Work, by the topic of the blocks.

BLOCK_RECORDS = Histogram(
    "tickertape_block_records",
    "The number of records in a block. In place of a bundle, each of its events is counted.",
    ("topic",),
    registry=WORKER,
    buckets=MANY_RECORDS,
)
DECODE_SECONDS = Histogram(
    "tickertape_decode_seconds",
    "The time to decode a block, or several small ones, into columns.",
    ("topic",),
    registry=WORKER,
    buckets=BRIEF,
)
FOLD_SECONDS = Histogram(
    "tickertape_fold_seconds",
    'The time to fold the columns of a block, or of several small ones, into slices. For topic="slices": the time to '
    "read frames.",
    ("topic",),
    registry=WORKER,
    buckets=BRIEF,
)
PUBLISH_SECONDS = Histogram(
    "tickertape_publish_seconds",
    'The time of a flush, which packs slices into frames. For topic="slices", a flush merges slices and makes results.',
    ("topic",),
    registry=WORKER,
    buckets=BRIEF,
)
EVENT_TO_RESULT_SECONDS = Histogram(
    "tickertape_event_to_result_seconds",
    "The time from an event to the flush that includes it in results, for the event of each flush that waited longest.",
    ("topic",),
    registry=WORKER,
    buckets=LONGER,
)
RESULTS = Counter(
    "tickertape_results",
    "Results published on the topic, including updates of the same result.",
    ("topic",),
    registry=WORKER,
)
OPEN_WINDOWS = Gauge(
    "tickertape_open_windows",
    "Windows in memory, by the topic of their results.",
    ("topic",),
    registry=WORKER,
)

# The supervisor.

RESTARTS = Counter(
    "tickertape_worker_restarts",
    "How often a worker was restarted after it had ended by itself.",
    ("worker",),
    registry=SUPERVISOR,
)
WORKERS = Gauge(
    "tickertape_workers",
    "The number of workers that are running.",
    registry=SUPERVISOR,
)

# Alerts. Channels are those of the file that the setting `alerts` names.

ALERTS = Counter(
    "tickertape_alerts",
    "Alerts that are over, by outcome: sent, too old, refused (by the channel), quiet (dropped in quiet hours), "
    "unconfirmed (provisional, and not yet sent), unchanged, not sent (follow-ups without need), no route.",
    ("channel", "outcome"),
    registry=ALERTING,
)
ALERT_FAILURES = Counter(
    "tickertape_alerts_failed_messages",
    "Tries to send a message that failed, and are repeated.",
    ("channel",),
    registry=ALERTING,
)
ALERTS_WAITING = Gauge(
    "tickertape_alerts_waiting_alerts",
    "Alerts that are due and not sent yet: in a group, in quiet hours, or because the channel fails.",
    ("channel",),
    registry=ALERTING,
)
ALERT_AGE = Histogram(
    "tickertape_alerts_age_seconds",
    "The time from the end of a signal's window until the channel accepted it.",
    ("channel",),
    registry=ALERTING,
    buckets=(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0),
)
ALERTS_OWNER = Gauge(
    "tickertape_alerts_sending_workers",
    "1 if this process is the one that sends, 0 if it waits.",
    registry=ALERTING,
)


# Copies of results in databases. Databases are those of the file that the setting `databases` names.

EXPORT_RECORDS = Counter(
    "tickertape_export_records",
    "Results read, by outcome: written (sent to the database), superseded (by a newer one of the same write), not "
    "final (left out, as finals only are copied), unreadable (no result of the topic).",
    ("topic", "outcome"),
    registry=EXPORTING,
)
EXPORT_LOST = Counter(
    "tickertape_export_lost_records",
    "Results that the topic's retention deleted before they were written.",
    ("topic",),
    registry=EXPORTING,
)
EXPORT_LAG = Gauge(
    "tickertape_export_lag_records",
    "The number of results of the partition that are still to be written, as of the last write.",
    ("topic", "partition"),
    registry=EXPORTING,
)
EXPORT_NEWEST = Gauge(
    "tickertape_export_newest_timestamp_seconds",
    "The start of the newest window among the results of the last write.",
    ("topic",),
    registry=EXPORTING,
)
EXPORT_WRITE_SECONDS = Histogram(
    "tickertape_export_write_seconds",
    "The time of a write, with the time that the database was away.",
    ("database",),
    registry=EXPORTING,
    buckets=LONGER,
)
EXPORT_FAILURES = Counter(
    "tickertape_export_failed_writes",
    "Tries to write that failed, and are repeated.",
    ("database",),
    registry=EXPORTING,
)

"""Rows of the pipeline's page on checkpoints, and on the workers that make them."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import BytesIEC, PercentUnit, Seconds, Short

from grafana.source.parts.panels import Graph, graph, query


def checkpoints() -> Iterator[Graph]:
    yield graph(
        "Checkpoint age",
        "Longest time since a partition's last checkpoint, by topic.",
        Seconds,
        query(
            "{{topic}}",
            "max by (topic) (time() - max by (topic, partition) "
            '(tickertape_checkpoint_timestamp_seconds{instance=~"$instance"}))',
        ),
    ).min(0)
    yield graph(
        "Commits",
        "Duration of a checkpoint, from publishing what is open until Kafka acknowledges the commit.",
        Seconds,
        query(
            "p50",
            "histogram_quantile(0.5, sum by (le) "
            '(rate(tickertape_commit_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "p99",
            "histogram_quantile(0.99, sum by (le) "
            '(rate(tickertape_commit_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
    ).min(0)
    yield graph(
        "Refused commits",
        "Commits refused because another worker owned the partitions by then. A few are harmless; many mean "
        "that workers stall.",
        Short,
        query(
            "{{instance}}",
            'sum by (instance) (increase(tickertape_refused_commits_total{instance=~"$instance"}[$__rate_interval]))',
        ),
    ).min(0)
    yield graph(
        "Read and not committed",
        "Records between the committed offset and the offset read: those of open slices and windows. The partition's "
        "next owner reads them again or has them in a snapshot.",
        Short,
        query(
            "{{topic}}",
            "sum by (topic) (max by (topic, partition) "
            '(tickertape_read_offset{instance=~"$instance"} - tickertape_committed_offset{instance=~"$instance"}))',
        ),
    ).min(0)
    yield graph(
        "Snapshots",
        "Total size of the last snapshots of a worker's shards.",
        BytesIEC,
        query("{{instance}}", 'sum by (instance) (tickertape_snapshot_bytes{instance=~"$instance"})'),
    ).min(0)
    yield graph(
        "Snapshot age",
        "Longest time since a shard's last snapshot, by worker. By default each shard gets one every 30 seconds.",
        Seconds,
        query(
            "{{instance}}",
            'max by (instance) (time() - tickertape_snapshot_timestamp_seconds{instance=~"$instance"})',
        ),
    ).min(0)


def workers() -> Iterator[Graph]:
    yield graph(
        "Partitions owned",
        "Partitions of each topic that a worker owns.",
        Short,
        query("{{instance}} {{topic}}", 'tickertape_owned_partitions{instance=~"$instance"}'),
    ).min(0)
    yield graph(
        "Partitions without an owner",
        "Partitions that no worker reads. This is normal for a moment in a rebalance; otherwise something is wrong.",
        Short,
        query(
            "{{topic}}",
            'max by (topic) (tickertape_topic_partitions{instance=~"$instance"})'
            ' - sum by (topic) (tickertape_owned_partitions{instance=~"$instance"})',
        ),
    )
    yield graph(
        "Rebalances",
        "Rebalances that a worker took part in. A restart within the session timeout needs none.",
        Short,
        query(
            "{{instance}}",
            'sum by (instance) (increase(tickertape_rebalances_total{instance=~"$instance"}[$__rate_interval]))',
        ),
    ).min(0)
    yield graph(
        "Supervised workers",
        "Workers that a `tickertape up` runs, and how many times it has restarted each.",
        Short,
        query("{{instance}} workers", "sum by (instance) (tickertape_workers)"),
        query("{{worker}} restarts", "sum by (worker) (tickertape_worker_restarts_total)"),
    ).min(0)
    yield graph(
        "CPU",
        "Cores used by each process.",
        PercentUnit,
        query(
            "{{job}} {{instance}}",
            'rate(process_cpu_seconds_total{job=~"worker|feed|supervisor|alerts"}[$__rate_interval])',
        ),
    ).min(0)
    yield graph(
        "Memory",
        "Resident memory of each process.",
        BytesIEC,
        query("{{job}} {{instance}}", 'process_resident_memory_bytes{job=~"worker|feed|supervisor|alerts"}'),
    ).min(0)

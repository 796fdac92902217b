"""The page on the pipeline: how records pass through it, and the state of its workers."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import CountsPerSecond, PercentUnit, Seconds, Short

from grafana.source.parts import choices
from grafana.source.parts.dashboard import Rows, filled, headed
from grafana.source.parts.heat import Heat, heat
from grafana.source.parts.panels import AMBER, GREEN, RED, Stat, query, stat
from grafana.source.pipeline import feeds, stages, workers


def page() -> Dashboard:
    head = headed("pipeline", "Feeds, topics, both stages, checkpoints and workers, in the order records pass them.")
    rows: Rows = {
        "Overview": overview(),
        "Latency": latency(),
        "Feeds": feeds.feeds(),
        "Input": feeds.inputs(),
        "First stage: blocks to slices": stages.first_stage(),
        "Second stage: slices to results": stages.second_stage(),
        "Checkpoints": workers.checkpoints(),
        "Workers": workers.workers(),
    }
    variables = [choices.prometheus(), choices.worker(), choices.console()]
    return filled(head.variables(variables).time("now-30m", "now").refresh("10s"), rows)


def overview() -> Iterator[Stat]:
    yield stat(
        "Records",
        "Records read and committed per second, over all input topics.",
        CountsPerSecond,
        query("records", 'sum(rate(tickertape_records_total{instance=~"$instance"}[$__rate_interval]))'),
        width=3,
        decimals=0,
    )
    yield stat(
        "Lag",
        "Records still to be read, over all topics. A few hundred are normally on their way.",
        Short,
        query("records", 'sum(max by (topic, partition) (tickertape_lag_records{instance=~"$instance"}))'),
        width=3,
        decimals=0,
        levels={None: GREEN, 50_000: AMBER, 500_000: RED},
    )
    yield stat(
        "Watermark age",
        "How far event time is behind the clock, for the topic and source furthest behind.",
        Seconds,
        query(
            "age",
            'max(time() - min by (topic, source) (tickertape_watermark_timestamp_seconds{instance=~"$instance"}))',
        ),
        width=3,
        decimals=1,
        levels={None: GREEN, 30: AMBER, 120: RED},
    )
    yield stat(
        "Event to result",
        "Time from an event to the flush that has it in a result; 99 of 100 flushes take less.",
        Seconds,
        query(
            "p99",
            "histogram_quantile(0.99, sum by (le) "
            '(rate(tickertape_event_to_result_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        width=3,
        decimals=2,
        levels={None: GREEN, 2: AMBER, 10: RED},
    )
    yield stat(
        "Late or rejected",
        "Share of the records read that came too late or can't be read. They go to the topics late and dead-letters.",
        PercentUnit,
        query(
            "share",
            'sum(rate(tickertape_records_total{instance=~"$instance", outcome=~"late|rejected"}[$__rate_interval]))'
            ' / sum(rate(tickertape_records_total{instance=~"$instance"}[$__rate_interval]))',
        ),
        width=3,
        decimals=2,
        levels={None: GREEN, 0.001: AMBER, 0.01: RED},
    )
    yield stat(
        "Checkpoint age",
        "Longest time since a partition's last checkpoint. After a crash, this much is read again.",
        Seconds,
        query(
            "age",
            'max(time() - max by (topic, partition) (tickertape_checkpoint_timestamp_seconds{instance=~"$instance"}))',
        ),
        width=3,
        decimals=1,
        levels={None: GREEN, 15: AMBER, 60: RED},
    )
    yield stat(
        "Workers",
        "Workers that answer Prometheus.",
        Short,
        query("up", 'sum(up{job="worker", instance=~"$instance"})'),
        width=3,
        decimals=0,
        levels={None: RED, 1: GREEN},
    )
    yield stat(
        "Restarts",
        "Restarts of workers at the same address, within the time range shown.",
        Short,
        query("restarts", 'sum(changes(process_start_time_seconds{job="worker", instance=~"$instance"}[$__range]))'),
        width=3,
        decimals=0,
        levels={None: GREEN, 1: AMBER, 5: RED},
    )


def latency() -> Iterator[Heat]:
    chosen = 'instance=~"$instance"'
    yield heat(
        "Event to result, of bars",
        "Flushes per second, by the time from the event that waited longest to the flush. A second, higher band is a "
        "partition or a source that lags.",
        "tickertape_event_to_result_seconds",
        chosen + ', topic="bars"',
    )
    yield heat(
        "Commits",
        "Commits per second, by their duration, from publishing what is open until Kafka acknowledges the commit.",
        "tickertape_commit_seconds",
        chosen,
    )

"""Rows of the pipeline's page on its two stages."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import CountsPerSecond, PercentUnit, Seconds, Short

from grafana.source.parts.panels import STACKED, Graph, graph, query


def first_stage() -> Iterator[Graph]:
    yield graph(
        "Records per block",
        "Mean and 99th percentile. The larger the blocks, the cheaper a record; they are small while there is little "
        "to do.",
        Short,
        query(
            "{{topic}} mean",
            'sum by (topic) (rate(tickertape_block_records_sum{instance=~"$instance"}[$__rate_interval]))'
            ' / sum by (topic) (rate(tickertape_block_records_count{instance=~"$instance"}[$__rate_interval]))',
        ),
        query(
            "{{topic}} p99",
            "histogram_quantile(0.99, sum by (le, topic) "
            '(rate(tickertape_block_records_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
    ).min(0)
    yield graph(
        "Time per block",
        "Time to decode a block's bytes into columns, and to fold the columns into slices.",
        Seconds,
        query(
            "{{topic}} decode p99",
            "histogram_quantile(0.99, sum by (le, topic) "
            '(rate(tickertape_decode_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "{{topic}} fold p99",
            "histogram_quantile(0.99, sum by (le, topic) "
            '(rate(tickertape_fold_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "{{topic}} decode p50",
            "histogram_quantile(0.5, sum by (le, topic) "
            '(rate(tickertape_decode_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "{{topic}} fold p50",
            "histogram_quantile(0.5, sum by (le, topic) "
            '(rate(tickertape_fold_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
    ).min(0)
    steps = graph(
        "Where the time goes",
        "Cores used by each step. A worker has one: when the sum comes near the number of workers, add workers.",
        PercentUnit,
        query(
            "{{topic}} decode",
            'sum by (topic) (rate(tickertape_decode_seconds_sum{instance=~"$instance"}[$__rate_interval]))',
        ),
        query(
            "{{topic}} fold",
            'sum by (topic) (rate(tickertape_fold_seconds_sum{instance=~"$instance"}[$__rate_interval]))',
        ),
        query(
            "{{topic}} publish",
            'sum by (topic) (rate(tickertape_publish_seconds_sum{instance=~"$instance"}[$__rate_interval]))',
        ),
    )
    yield steps.min(0).stacking(STACKED).fill_opacity(25)


def second_stage() -> Iterator[Graph]:
    yield graph(
        "Event to result",
        "Time from an event to the flush that has it in a result, by the topic of the results.",
        Seconds,
        query(
            "{{topic}} p50",
            "histogram_quantile(0.5, sum by (le, topic) "
            '(rate(tickertape_event_to_result_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "{{topic}} p99",
            "histogram_quantile(0.99, sum by (le, topic) "
            '(rate(tickertape_event_to_result_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
    ).min(0)
    yield graph(
        "Results",
        "Results published per second, including updates of the same result.",
        CountsPerSecond,
        query("{{topic}}", 'sum by (topic) (rate(tickertape_results_total{instance=~"$instance"}[$__rate_interval]))'),
    ).min(0)
    yield graph(
        "Flushes",
        "Duration of a flush: making frames in the first stage, merging slices and making results in the second.",
        Seconds,
        query(
            "{{topic}} p50",
            "histogram_quantile(0.5, sum by (le, topic) "
            '(rate(tickertape_publish_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
        query(
            "{{topic}} p99",
            "histogram_quantile(0.99, sum by (le, topic) "
            '(rate(tickertape_publish_seconds_bucket{instance=~"$instance"}[$__rate_interval])))',
        ),
    ).min(0)
    yield graph(
        "Age of finals",
        "How far final results are behind the clock, over all sources: the lateness allowed, and whatever else holds "
        "them back.",
        Seconds,
        query(
            "{{topic}}",
            'time() - min by (topic) (tickertape_final_timestamp_seconds{instance=~"$instance", source="all"})',
        ),
    )
    yield graph(
        "Open windows",
        "Windows in memory. Their number grows with symbols, sources and resolutions, not with events.",
        Short,
        query("{{topic}}", 'sum by (topic) (tickertape_open_windows{instance=~"$instance"})'),
    ).min(0)
    yield graph(
        "Lag of slices, by shard",
        "Frames still to be merged.",
        Short,
        query(
            "shard {{partition}}",
            'max by (partition) (tickertape_lag_records{instance=~"$instance", topic="slices"})',
        ),
    ).min(0)

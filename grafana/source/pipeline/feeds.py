"""Rows of the pipeline's page on what comes in: feeds, and the reading of input topics."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import BytesIEC, CountsPerSecond, Seconds, Short

from grafana.source.parts.panels import Graph, graph, query


def feeds() -> Iterator[Graph]:
    yield graph(
        "Records sent",
        "Records that feeds send per second, without heartbeats.",
        CountsPerSecond,
        query("{{topic}}", "sum by (topic) (rate(tickertape_feed_sent_records_total[$__rate_interval]))"),
    ).min(0)
    yield graph(
        "Age of the newest event sent",
        "How far the newest event sent is behind the clock. It rises while a source is silent or a feed is stuck.",
        Seconds,
        query("{{source}}, {{topic}}", "min by (topic, source) (time() - tickertape_feed_newest_timestamp_seconds)"),
    )
    yield graph(
        "Producer buffers",
        "Bytes produced and not yet acknowledged. At 64 MiB a worker or feed waits for Kafka.",
        BytesIEC,
        query("{{job}} {{instance}}", "tickertape_producer_buffer_bytes"),
    ).min(0)
    yield graph(
        "Reconnects and gaps",
        "Reconnects to each source, and gaps in its ids, since the feed started.",
        Short,
        query("{{source}} reconnects", "sum by (source) (tickertape_feed_reconnects_total)"),
        query("{{source}} gaps", "sum by (source) (tickertape_feed_gaps)"),
    ).min(0)
    yield graph(
        "Missing, dropped, unreadable",
        "Since the feed started: events missing in the gaps of a source's ids, messages dropped because Kafka was too "
        "slow, messages that can't be read, and repeated events, which aren't sent again.",
        Short,
        query("{{source}} missing", "sum by (source) (tickertape_feed_missing_records)"),
        query("{{source}} dropped", "sum by (source) (tickertape_feed_dropped_messages_total)"),
        query("{{source}} unreadable", "sum by (source) (tickertape_feed_unreadable_messages_total)"),
        query("{{source}} repeated", "sum by (source) (tickertape_feed_repeated_records_total)"),
    ).min(0)
    yield graph(
        "Waiting for Kafka",
        "Messages of live sources waiting to be produced. When the buffer is full, the oldest are dropped and counted.",
        BytesIEC,
        query("{{source}}", "sum by (source) (tickertape_feed_waiting_bytes)"),
    ).min(0)


def inputs() -> Iterator[Graph]:
    yield graph(
        "Records counted",
        "Records per second that count in a result.",
        CountsPerSecond,
        query(
            "{{topic}}",
            "sum by (topic) "
            '(rate(tickertape_records_total{instance=~"$instance", outcome="counted"}[$__rate_interval]))',
        ),
    ).min(0)
    yield graph(
        "Records not counted",
        "Records per second that don't count: late and rejected ones are kept on topics of their own, repeated ones "
        "are dropped because they count already, and unmatched ones name no symbol.",
        CountsPerSecond,
        query(
            "{{topic}} {{outcome}}",
            "sum by (topic, outcome) "
            '(rate(tickertape_records_total{instance=~"$instance", outcome!="counted"}[$__rate_interval]))',
        ),
    ).min(0)
    yield graph(
        "Lag",
        "Records still to be read.",
        Short,
        query(
            "{{topic}}",
            'sum by (topic) (max by (topic, partition) (tickertape_lag_records{instance=~"$instance"}))',
        ),
    ).min(0)
    yield graph(
        "Read rate, by partition",
        "Offsets read per second. Partitions far above the others have hot symbols: see the feeds' option `--spread`.",
        CountsPerSecond,
        query(
            "{{topic}} {{partition}}",
            'rate(tickertape_read_offset{instance=~"$instance", topic!="slices"}[$__rate_interval]) >= 0',
        ),
    ).min(0)
    yield graph(
        "Log end, by partition",
        "Offset at the end of each partition, and the offset read so far. The lag is the distance between the two.",
        Short,
        query(
            "{{topic}} {{partition}} end",
            'max by (topic, partition) (tickertape_end_offset{instance=~"$instance", topic!="slices"})',
        ),
        query(
            "{{topic}} {{partition}} read",
            'max by (topic, partition) (tickertape_read_offset{instance=~"$instance", topic!="slices"})',
        ),
    )
    yield graph(
        "Watermark age, by source",
        "How far a source's event time is behind the clock, in the partition furthest behind: the one that holds back "
        "finals.",
        Seconds,
        query(
            "{{topic}} {{source}}",
            'time() - min by (topic, source) (tickertape_watermark_timestamp_seconds{instance=~"$instance"})',
        ),
    )

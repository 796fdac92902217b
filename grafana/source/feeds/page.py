"""The page on feeds: whether each source is connected and speaks, what is missing of it, and how late it is."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.units import CountsPerSecond, Seconds, Short

from grafana.source.feeds import sources, symbols
from grafana.source.feeds.sources import CHOSEN
from grafana.source.parts import choices
from grafana.source.parts.dashboard import Rows, filled, headed
from grafana.source.parts.panels import AMBER, GREEN, RED, Stat, query, stat


def page() -> Dashboard:
    head = headed(
        "feeds", "Each source: connection, silence, gaps and refills, order books, budgets, delay.", "pipeline"
    )
    rows: Rows = {
        "Overview": overview(),
        "Sources": sources.sources(),
        "Symbols": symbols.symbols(),
        "Order books": sources.books(),
        "Hosts and delay": sources.hosts(),
    }
    variables = [
        choices.prometheus(),
        choices.several(
            "instance", "Process", "Processes to show.", "label_values(tickertape_feed_connections, instance)"
        ),
        choices.several("feed", "Source", "Sources to show.", "label_values(tickertape_feed_connections, source)"),
        choices.several("symbol", "Symbol", "Symbols to show.", "label_values(tickertape_feed_gaps, symbol)"),
        choices.console(),
    ]
    return filled(head.variables(variables).time("now-30m", "now").refresh("10s"), rows)


def overview() -> Iterator[Stat]:
    yield stat(
        "Connections",
        "Connections to sources that are open.",
        Short,
        query("open", f"sum(tickertape_feed_connections{{{CHOSEN}}})"),
        width=4,
        decimals=0,
        levels={None: RED, 1: GREEN},
    )
    yield stat(
        "Records",
        "Records sent per second, without heartbeats.",
        CountsPerSecond,
        query("records", 'sum(rate(tickertape_feed_sent_records_total{instance=~"$instance"}[$__rate_interval]))'),
        width=4,
        decimals=0,
    )
    yield stat(
        "Silent streams",
        "Streams that are silent against their own pace.",
        Short,
        query("silent", f"sum(tickertape_feed_silent_streams{{{CHOSEN}}})"),
        width=4,
        decimals=0,
        levels={None: GREEN, 1: AMBER},
    )
    yield stat(
        "Missing events",
        "Events that are missing in the gaps of ids now.",
        Short,
        query("missing", f"sum(tickertape_feed_missing_records{{{CHOSEN}}})"),
        width=4,
        decimals=0,
        levels={None: GREEN, 1: AMBER, 1000: RED},
    )
    yield stat(
        "Books that are not live",
        "Order books that wait for a snapshot, or are stale. They publish nothing.",
        Short,
        query("books", f'sum(tickertape_feed_books{{{CHOSEN}, state!="live"}})'),
        width=4,
        decimals=0,
        levels={None: GREEN, 1: AMBER},
    )
    yield stat(
        "Delay",
        "Time from an event to its receipt; 99 of 100 take less.",
        Seconds,
        query(
            "p99",
            "histogram_quantile(0.99, sum by (le) "
            f"(rate(tickertape_feed_delay_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))",
        ),
        width=4,
        decimals=2,
        levels={None: GREEN, 1: AMBER, 10: RED},
    )

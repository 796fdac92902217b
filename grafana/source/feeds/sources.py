"""Rows of the feeds' page by source: connections and streams, order books, hosts and delay."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import PercentUnit, Seconds, Short

from grafana.source.parts.panels import Graph, Query, graph, query

# Of the processes and sources that are chosen.
CHOSEN = 'instance=~"$instance", source=~"$feed"'


def sources() -> Iterator[Graph]:
    yield graph(
        "Connections",
        "Connections that are open. For a moment there is one more, where one replaces another.",
        Short,
        query("{{source}}", f"sum by (source) (tickertape_feed_connections{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Reconnects and failures",
        "Since the feed started: connections that were opened again, and feeds of `tickertape feed run` that failed.",
        Short,
        query("{{source}} reconnects", f"sum by (source) (tickertape_feed_reconnects_total{{{CHOSEN}}})"),
        query("{{source}} failures", f"sum by (source) (tickertape_feed_failures_total{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Streams",
        "Streams that were asked for: those that the source has confirmed, and those that it refuses.",
        Short,
        query(
            "{{source}} {{state}}",
            f'sum by (source, state) (tickertape_feed_streams{{{CHOSEN}, state!="silent"}})',
        ),
    ).min(0)
    yield graph(
        "Held back",
        "Events that are held back until missing earlier ones are received or given up.",
        Short,
        query("{{source}}", f"sum by (source) (tickertape_feed_held_records{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Repeated and unreadable",
        "Since the feed started: events that came twice and were sent once, and messages that can't be read.",
        Short,
        query("{{source}} repeated", f"sum by (source) (tickertape_feed_repeated_records_total{{{CHOSEN}}})"),
        query("{{source}} unreadable", f"sum by (source) (tickertape_feed_unreadable_messages_total{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Age of the newest event sent",
        "How far the newest event sent is behind the clock, by topic.",
        Seconds,
        query(
            "{{source}}, {{topic}}",
            f"min by (topic, source) (time() - tickertape_feed_newest_timestamp_seconds{{{CHOSEN}}})",
        ),
    )


def books() -> Iterator[Graph]:
    yield graph(
        "Books by state",
        "Order books: syncing, live or stale. Only live ones are published.",
        Short,
        query("{{source}} {{state}}", f"sum by (source, state) (tickertape_feed_books{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Breaks",
        "Since the feed started: how often a book could not be trusted any more and began anew, by reason.",
        Short,
        query("{{source}} {{reason}}", f"sum by (source, reason) (tickertape_feed_book_breaks_total{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Share of live books",
        "Live books of all books of a source.",
        PercentUnit,
        query(
            "{{source}}",
            f'sum by (source) (tickertape_feed_books{{{CHOSEN}, state="live"}})'
            f" / sum by (source) (tickertape_feed_books{{{CHOSEN}}})",
        ),
    ).min(0)


def hosts() -> Iterator[Graph]:
    yield graph(
        "Budgets of hosts",
        "How much of what a host allows at once is used, of connections and of requests. At 100 %, feeds wait.",
        PercentUnit,
        query(
            "{{host}} {{budget}}",
            'max by (host, budget) (tickertape_feed_budget_used_ratio{instance=~"$instance"})',
        ),
    ).min(0)
    yield graph(
        "Left alone",
        "For how long a host wants to be left alone, because it was asked too often.",
        Seconds,
        query("{{source}}", f"max by (source) (tickertape_feed_blocked_seconds{{{CHOSEN}}})"),
    ).min(0)
    yield graph(
        "Delay",
        "Time from an event to its receipt, by the clocks of both. Below zero, one of the clocks is wrong.",
        Seconds,
        *map(_delay, (0.5, 0.99)),
    )


def _delay(share: float) -> Query:
    return query(
        f"{{{{source}}}} p{share * 100:.0f}",
        f"histogram_quantile({share}, sum by (source, le) "
        f"(rate(tickertape_feed_delay_seconds_bucket{{{CHOSEN}}}[$__rate_interval])))",
    )

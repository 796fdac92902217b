"""The row of the feeds' page by symbol: gaps, refills, silence, and when something came last."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import Seconds, Short

from grafana.source.feeds.sources import CHOSEN as OF_SOURCES
from grafana.source.parts.links import symbol_in_console
from grafana.source.parts.panels import Graph, graph, query

CHOSEN = OF_SOURCES + ', symbol=~"$symbol"'
BY_SYMBOL = "{{source}} {{symbol}}"
WORST = 20


def symbols() -> Iterator[Graph]:
    yield _worst(
        "Missing events",
        "Events that are missing in the gaps of ids now.",
        f"tickertape_feed_missing_records{{{CHOSEN}}}",
    )
    yield _worst("Gaps", "Gaps in the ids now.", f"tickertape_feed_gaps{{{CHOSEN}}}")
    yield _worst(
        "Silent streams",
        "Streams that are silent against their own pace.",
        f"tickertape_feed_silent_streams{{{CHOSEN}}}",
    )
    yield _worst(
        "Refilled events",
        "Since the feed started: missing events that were requested and came.",
        f"tickertape_feed_refilled_records_total{{{CHOSEN}}}",
    )
    yield _worst(
        "Events given up",
        "Since the feed started: missing events that the source doesn't have, or not in time.",
        f"tickertape_feed_unfillable_records_total{{{CHOSEN}}}",
    )
    yield graph(
        "Time without an event",
        f"Time since the symbol's newest event was received; the {WORST} longest.",
        Seconds,
        query(
            BY_SYMBOL,
            f"topk({WORST}, min by (source, symbol) (time() - tickertape_feed_received_timestamp_seconds{{{CHOSEN}}}))",
        ),
    ).data_links([symbol_in_console()])


def _worst(title: str, description: str, metric: str) -> Graph:
    what = f"{description[:-1]}; the {WORST} symbols with most."
    return graph(title, what, Short, query(BY_SYMBOL, f"topk({WORST}, sum by (source, symbol) ({metric}))")).min(0)

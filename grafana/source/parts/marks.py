"""Marks on all graphs of a page: signals, and what happened to the workers."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from grafana.source.parts.panels import AMBER, PROMETHEUS, RED

STEP = "5s"
# Two scrapes at least, in which a counter can be seen to rise.
RECENT = "[15s]"
BLUE = "#3987e5"


def signals(matchers: str) -> AnnotationQuery:
    """Return the marks of signals that label matchers select, each where the bar or window that it is of starts."""
    return (
        _mark("Signals", AMBER)
        .expr("1000 * max by (rule, symbol, source, resolution) (tickertape_signals_start_seconds{" + matchers + "})")
        .use_value_for_time(True)
        .title_format("{{rule}}: {{symbol}}")
        .text_format("{{source}}, {{resolution}}")
        .tag_keys("rule")
    )


def of_workers() -> Iterator[AnnotationQuery]:
    """Yield the marks of rebalances and takeovers. Grafana shades the time in which a query's value is above zero."""
    yield (
        _mark("Rebalances", BLUE)
        .expr("max(increase(tickertape_rebalances_total" + RECENT + "))")
        .title_format("Rebalance")
        .text_format("The workers share the partitions anew.")
    )
    yield (
        _mark("Takeovers", RED)
        .expr("max by (topic) (tickertape_topic_partitions) - sum by (topic) (tickertape_owned_partitions)")
        .title_format("Partitions of {{topic}} without an owner")
        .text_format("Until other workers take them over, their results stand still.")
        .tag_keys("topic")
    )


def _mark(name: str, colour: str) -> AnnotationQuery:
    return AnnotationQuery().name(name).datasource(PROMETHEUS).enable(True).icon_color(colour).step(STEP)

"""The row of the page of signals on alerts: what a process that sends them has done."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.units import CountsPerSecond, Seconds, Short

from grafana.source.parts.heat import Heat, heat
from grafana.source.parts.panels import HALF, Graph, graph, query


def alerts() -> Iterator[Graph | Heat]:
    yield graph(
        "Outcomes",
        "Alerts that are over, per second, by channel. Too old and refused are those that a channel should have had.",
        CountsPerSecond,
        query(
            "{{channel}} {{outcome}}",
            "sum by (channel, outcome) (rate(tickertape_alerts_total[$__rate_interval]))",
        ),
    ).min(0)
    yield graph(
        "Waiting",
        "Alerts that are due and not sent yet: in a group, in quiet hours, or because the channel fails.",
        Short,
        query("{{channel}}", "max by (channel) (tickertape_alerts_waiting_alerts)"),
    ).min(0)
    yield graph(
        "Failed tries",
        "Tries to send a message that failed, per second. They are repeated, until the alert is too old.",
        CountsPerSecond,
        query("{{channel}}", "sum by (channel) (rate(tickertape_alerts_failed_messages_total[$__rate_interval]))"),
    ).min(0)
    yield heat(
        "Signal to alert",
        "Alerts sent per second, by the time from the end of a signal's window until the channel accepted it.",
        "tickertape_alerts_age_seconds",
        "",
    )
    yield (
        graph(
            "Signal to alert, of 100",
            "Half of the alerts are sent within the lower time, and 99 of 100 within the upper.",
            Seconds,
            *(
                query(
                    "{{channel}} " + name,
                    f"histogram_quantile({share}, sum by (le, channel) "
                    "(rate(tickertape_alerts_age_seconds_bucket[$__rate_interval])))",
                )
                for name, share in (("p50", 0.5), ("p99", 0.99))
            ),
        )
        .min(0)
        .span(HALF)
    )

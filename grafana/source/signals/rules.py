"""Rows of the page of signals on the rules: what they found, when, and how the prices were."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.units import LocaleFormat, Seconds, Short

from grafana.source.parts.heat import Grid, grid
from grafana.source.parts.links import symbol_in_console, symbol_on
from grafana.source.parts.panels import HALF, WHOLE, Graph, Stat, graph, newest, query, stat

# Label matchers for the choices at the top of the page.
CHOSEN = 'symbol=~"$symbol", source=~"$source", rule=~"$rule", instance=~"$instance"'
PRICES = 'symbol=~"$symbol", source=~"$source", resolution=~"$resolution", instance=~"$instance"'

NEWEST = "max by (rule, symbol, source) (tickertape_signals_start_seconds{" + CHOSEN + "})"
PER_MINUTE = '60 * sum(rate(tickertape_results_total{topic="signals", instance=~"$instance"}[$__rate_interval]))'


def now() -> Iterator[Stat]:
    yield stat(
        "Signals a minute",
        "For all symbols, watched or not. A signal that is provisional at first counts again when final.",
        Short,
        query("signals", PER_MINUTE),
        width=6,
        decimals=1,
    )
    yield stat(
        "Since the newest signal",
        "Time since the start of the bar or window with the newest signal of all that are chosen.",
        Seconds,
        query("age", f"time() - max({NEWEST})"),
        width=6,
        decimals=0,
        sparkline=False,
    )
    yield stat(
        "Series with signals",
        "How many of a rule's series, a symbol at a source each, have had a signal since their worker has them.",
        Short,
        query("{{rule}}", f"count by (rule) ({NEWEST})"),
        width=6,
        decimals=0,
        sparkline=False,
    )
    yield stat(
        "Alerts sent a minute",
        "Alerts that a channel accepted.",
        Short,
        query("{{channel}}", '60 * sum by (channel) (rate(tickertape_alerts_total{outcome="sent"}[$__rate_interval]))'),
        width=6,
        decimals=1,
    )


def around() -> Iterator[Graph]:
    price = graph(
        "Price",
        "Price of the last trade. Each mark is a signal, where the bar or window starts that it is of.",
        LocaleFormat,
        newest("{{symbol}} {{source}}", "tickertape_bars_close", PRICES),
    )
    yield price.span(WHOLE).height(10).data_links([symbol_in_console(), symbol_on("market")])


def rules() -> Iterator[Graph | Grid]:
    yield grid(
        "When each rule fired",
        "How often a rule's newest signal changed, by rule: the darker, the more symbols at once.",
        Short,
        query(
            "{{rule}}",
            "sum by (rule) (changes(tickertape_signals_start_seconds{" + CHOSEN + "}[$__rate_interval]))",
        ),
        colours=FieldColorModeId.CONTINUOUS_PURPLES,
        low=0,
        high=5,
    )
    yield (
        graph(
            "Signals",
            "For all symbols, watched or not. A signal that is provisional at first counts again when final.",
            Short,
            query("a minute", PER_MINUTE),
        )
        .min(0)
        .span(HALF)
    )
    yield graph(
        "Value and level",
        "Field value at each rule's newest signal, and the level that it passed.",
        Short,
        query(
            "{{rule}} {{symbol}} {{source}}",
            "max by (rule, symbol, source) (tickertape_signals_value{" + CHOSEN + "})",
        ),
        query(
            "{{rule}} {{symbol}} {{source}} level",
            "max by (rule, symbol, source) (tickertape_signals_level{" + CHOSEN + "})",
        ),
    ).span(HALF)
    yield (
        graph(
            "Age of the newest signal",
            "Time since each rule's newest signal; it drops to zero with a new one. Rules are in the file that the "
            "setting `signals` names.",
            Seconds,
            query("{{rule}} {{symbol}} {{source}}", f"time() - {NEWEST}"),
        )
        .min(0)
        .span(HALF)
    )

"""The page of results: the market, and what posts say of it, for the symbols on the watch list."""

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery, Dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption

from grafana.source import bars, derived, social
from grafana.source.bars import CHOSEN
from grafana.source.dashboard import Rows, filled, headed, several, single, source, worker
from grafana.source.panels import PROMETHEUS


def page() -> Dashboard:
    head = headed("market", "Latest results for the symbols on the watch list, as the workers publish them.")
    minute = VariableOption(text="1m", value="1m")
    choices = [
        source(),
        several(
            "symbol",
            "Symbol",
            "Symbols on the watch list: the workers' setting `watch`.",
            'label_values({__name__=~"tickertape_(bars_close|social_mentions)"}, symbol)',
        ),
        several(
            "source",
            "Source",
            "Exchanges; `all` is all of them combined.",
            'label_values(tickertape_bars_close{symbol=~"$symbol"}, source)',
            chosen=VariableOption(text="all", value="all"),
        ),
        single(
            "resolution",
            "Resolution",
            "Length of a bar.",
            "label_values(tickertape_bars_close, resolution)",
            chosen=minute,
        ),
        single(
            "window",
            "Post window",
            "Length of a window over posts.",
            "label_values(tickertape_social_mentions, resolution)",
            chosen=minute,
        ),
        worker(),
    ]
    rows: Rows = {
        "Now": bars.now(),
        "Trades": bars.trades(),
        "Quotes": bars.quotes(),
        "Sliding windows": derived.sliding_windows(),
        "Indicators on final bars": derived.indicators(),
        "Social": social.social(),
        "Signals": derived.signals(),
    }
    return filled(head.variables(choices).annotation(marks()).time("now-15m", "now").refresh("5s"), rows)


def marks() -> AnnotationQuery:
    """Return the marks of signals on all graphs, each where the bar or window that it is of starts."""
    return (
        AnnotationQuery()
        .name("Signals")
        .datasource(PROMETHEUS)
        .expr("1000 * max by (rule, symbol, source, resolution) (tickertape_signals_start_seconds{" + CHOSEN + "})")
        .use_value_for_time(True)
        .step("5s")
        .title_format("{{rule}}: {{symbol}}")
        .text_format("{{source}}, {{resolution}}")
        .tag_keys("rule")
        .icon_color("orange")
    )

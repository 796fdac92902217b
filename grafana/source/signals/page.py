"""The page of signals, and of the alerts that are made of them."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.source.parts import choices, marks
from grafana.source.parts.dashboard import Rows, filled, headed
from grafana.source.signals import alerts, rules


def page() -> Dashboard:
    head = headed("signals", "Signals of the symbols on the watch list, the prices around them, and the alerts sent.")
    variables = [
        choices.prometheus(),
        choices.symbol('label_values({__name__=~"tickertape_(bars_close|signals_value)"}, symbol)'),
        choices.source('label_values(tickertape_bars_close{symbol=~"$symbol"}, source)'),
        choices.several(
            "rule",
            "Rule",
            "Rules in the file that the setting `signals` names.",
            "label_values(tickertape_signals_value, rule)",
        ),
        choices.single(
            "resolution",
            "Bar",
            "Length of the bars that show the price.",
            "label_values(tickertape_bars_close, resolution)",
            chosen=choices.MINUTE,
        ),
        choices.worker(),
        choices.console(),
    ]
    rows: Rows = {
        "Now": rules.now(),
        "Prices, with a mark at each signal": rules.around(),
        "Rules": rules.rules(),
        "Alerts, of `tickertape alerts run`": alerts.alerts(),
    }
    page = head.variables(variables).time("now-1h", "now").refresh("5s").annotation(marks.signals(rules.CHOSEN))
    return filled(page, rows)

"""The page of results on the market, for the symbols on the watch list."""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import VariableOption

from grafana.source.market import bars, derived, together
from grafana.source.market.bars import ALL_SOURCES, CHOSEN
from grafana.source.parts import choices, marks
from grafana.source.parts.candles import candles
from grafana.source.parts.dashboard import Rows, filled, headed


def page() -> Dashboard:
    head = headed("market", "Latest results for the symbols on the watch list, as the workers publish them.")
    variables = [
        choices.prometheus(),
        choices.symbol("label_values(tickertape_bars_close, symbol)"),
        choices.source('label_values(tickertape_bars_close{symbol=~"$symbol"}, source)'),
        choices.single(
            "resolution",
            "Resolution",
            "Length of a bar.",
            "label_values(tickertape_bars_close, resolution)",
            chosen=choices.MINUTE,
        ),
        choices.single(
            "candle",
            "Candle",
            "Length of a candle. Those of seconds would be shorter than the time between scrapes.",
            "label_values(tickertape_bars_close, resolution)",
            chosen=choices.MINUTE,
        ).regex("/.*[mhd]$/"),
        choices.single(
            "against",
            "Against",
            "The symbol with which the others are compared.",
            "label_values(tickertape_bars_close, symbol)",
            chosen=VariableOption(text="BTC-USD", value="BTC-USD"),
        ),
        choices.worker(),
        choices.console(),
    ]
    rows: Rows = {
        "Now": bars.now(),
        "Candles": [
            candles(
                "$symbol",
                "Bars of trades, of all sources, with the VWAP. Prometheus looks every few seconds, and a candle "
                "is as it was seen last; the console has it as it is in the end. For more time, choose longer ones.",
                "tickertape_bars",
                ALL_SOURCES,
            )
        ],
        "Symbols together": together.together(),
        "Trades": bars.trades(),
        "Quotes": bars.quotes(),
        "Sliding windows": derived.sliding_windows(),
        "Indicators on final bars": derived.indicators(),
    }
    return filled(head.variables(variables).time("now-1h", "now").refresh("5s").annotation(marks.signals(CHOSEN)), rows)

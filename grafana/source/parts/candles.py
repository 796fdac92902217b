"""Candles: a panel for each symbol that is chosen."""

from grafana_foundation_sdk.builders import candlestick
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.models.candlestick import CandleStyle, ColorStrategy, VizDisplayMode
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.units import LocaleFormat

from grafana.source.parts.links import symbol_in_console
from grafana.source.parts.panels import GREEN, RED, WHOLE, Query, labelled, query

Candles = candlestick.Panel

# The time range shown has at most this many candles; with more, some are left out.
MOST = 1500


def candles(title: str, description: str, metrics: str, matchers: str) -> Candles:
    """Return the candles of a chosen symbol, with volume below and the VWAP as a line.

    A metric is of the newest bar only. So a candle is what the metrics were last in the candle's own time, and there is
    none if no new bar began in it.

    Parameters
    ----------
    metrics
        What the names of the metrics begin with: ``tickertape_bars``.
    matchers
        Label matchers, without that of the resolution.
    """

    def last(field: str, when: str = "") -> str:
        chosen = "{" + matchers + ', resolution="$candle"}'
        return f"max by (symbol) (last_over_time({metrics}_{field}{chosen}[$candle]{when}))"

    def newest(field: str) -> Query:
        later = " offset -$candle"
        same = f"({last('start_seconds', later)} == {last('start_seconds')})"
        return query(field, f"{last(field, later)} unless {same}").interval("$candle")

    fields = candlestick.CandlestickFieldMap().open("open").high("high").low("low").close("close").volume("volume")
    panel = (
        Candles()
        .mode(VizDisplayMode.CANDLES_VOLUME)
        .candle_style(CandleStyle.CANDLES)
        .color_strategy(ColorStrategy.OPEN_CLOSE)
        .colors(candlestick.CandlestickColors().up(GREEN).down(RED).flat("gray"))
        .fields(fields)
        .include_all_fields(True)
        .legend(
            options.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull"])
        )
        .tooltip(options.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .data_links([symbol_in_console("${symbol}")])
        .repeat("symbol")
        .repeat_direction("h")
        .max_per_row(2)
        .max_data_points(MOST)
        .span(WHOLE)
        .height(12)
    )
    wanted = [newest(field) for field in ("open", "high", "low", "close", "volume", "vwap")]
    return labelled(panel, title, description, LocaleFormat, wanted)

"""Panels that show values as colours: histograms over time, and a row for each series."""

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import heatmap, statushistory
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models.common import TooltipDisplayMode, VisibilityMode
from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.units import CountsPerSecond, Seconds

from grafana.source.parts.panels import HALF, Query, labelled, query

Heat = heatmap.Panel
Grid = statushistory.Panel

# More columns than these would each be a line.
MOST_COLUMNS = 120


def heat(title: str, description: str, histogram: str, matchers: str) -> Heat:
    """Return a panel half the page wide: a histogram of seconds over time, the fuller a bucket, the stronger."""
    rates = f"sum by (le) (rate({histogram}_bucket" + "{" + matchers + "}[$__rate_interval]))"
    colours = (
        heatmap.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .scale(HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
    )
    panel = (
        Heat()
        .calculate(False)
        .color(colours)
        .y_axis(heatmap.YAxisConfig().unit(Seconds))
        .cell_values(heatmap.CellValues().unit(CountsPerSecond))
        .tooltip(heatmap.HeatmapTooltip().mode(TooltipDisplayMode.SINGLE).y_histogram(True).show_color_scale(True))
        .max_data_points(MOST_COLUMNS)
        .span(HALF)
        .height(8)
    )
    return labelled(
        panel, title, description, CountsPerSecond, [query("{{le}}", rates).format(PromQueryFormat.HEATMAP)]
    )


def grid(
    title: str, description: str, unit: str, *queries: Query, colours: FieldColorModeId, low: float, high: float
) -> Grid:
    """Return a panel half the page wide: a row for each series, a column for each moment, and values as colours.

    Parameters
    ----------
    colours
        The colours, from the lowest value to the highest.
    low, high
        The values that have the first and the last of the colours; what is beyond them has the same.
    """
    panel = (
        Grid()
        .show_value(VisibilityMode.NEVER)
        .color_scheme(FieldColor().mode(colours))
        .min(low)
        .max(high)
        .row_height(0.9)
        .col_width(1.0)
        .fill_opacity(85)
        .legend(options.VizLegendOptions().show_legend(False))
        .tooltip(options.VizTooltipOptions().mode(TooltipDisplayMode.SINGLE))
        .max_data_points(MOST_COLUMNS)
        .span(HALF)
        .height(8)
    )
    return labelled(panel, title, description, unit, queries)

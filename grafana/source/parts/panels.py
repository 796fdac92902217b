"""Parts of panels: queries, stats and graphs with our defaults. The SDK's methods set what differs from these."""

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import TypeVar

from grafana_foundation_sdk.builders import candlestick, heatmap, prometheus, statushistory, timeseries
from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import Threshold, ThresholdsMode
from grafana_foundation_sdk.models.prometheus import QueryEditorMode

Query = prometheus.Dataquery
Stat = stats.Panel
Graph = timeseries.Panel
Panel = TypeVar("Panel", Stat, Graph, heatmap.Panel, statushistory.Panel, candlestick.Panel)

# The user chooses the Prometheus at the top of each page.
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="${datasource}")

GREEN = "green"
AMBER = "#eda100"
RED = "#e34948"

# Widths, of the 24 columns of a page.
THIRD, HALF, TWO_THIRDS, WHOLE = 8, 12, 16, 24

STACKED = options.StackingConfig().mode(StackingMode.NORMAL).group("A")


def query(legend: str, expr: str) -> Query:
    """Return a query in PromQL, with the legend of each of its series."""
    return Query().expr(expr).legend_format(legend).datasource(PROMETHEUS).editor_mode(QueryEditorMode.CODE).range()


def newest(legend: str, metric: str, matchers: str) -> Query:
    """Return a query for the newest value by symbol and source, of the series that label matchers select."""
    return query(legend, "max by (symbol, source) (" + metric + "{" + matchers + "})")


def stat(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    width: int,
    decimals: int | None = None,
    levels: Mapping[float | None, str] | None = None,
    sparkline: bool = True,
) -> Stat:
    """Return a panel with the newest values in large figures.

    Parameters
    ----------
    levels
        The colour of the panel from each value on; None stands for all lower values. By default, no colour.
    """
    panel = (
        Stat()
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(BigValueColorMode.BACKGROUND if levels else BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if sparkline else BigValueGraphMode.NONE)
        .thresholds(_thresholds(levels or {None: "text"}))
        .span(width)
        .height(4)
    )
    if decimals is not None:
        panel.decimals(decimals)
    return labelled(panel, title, description, unit, queries)


def graph(title: str, description: str, unit: str, *queries: Query) -> Graph:
    """Return a panel a third of the page wide: lines over time, and a table of their last and highest values."""
    legend = options.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.TABLE)
    tooltip = options.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = (
        Graph()
        .legend(legend.calcs(["lastNotNull", "max"]))
        .tooltip(tooltip)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .point_size(4)
        .span(THIRD)
        .height(8)
    )
    return labelled(panel, title, description, unit, queries)


def labelled(panel: Panel, title: str, description: str, unit: str, queries: Iterable[Query]) -> Panel:
    """Return a panel with what each has: a title, what it shows, a unit, and queries with letters of their own."""
    for letter, one in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(one.ref_id(letter))
    return panel.title(title).description(description).unit(unit).datasource(PROMETHEUS)


def _thresholds(levels: Mapping[float | None, str]) -> ThresholdsConfig:
    steps = [Threshold(value=value, color=colour) for value, colour in levels.items()]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)

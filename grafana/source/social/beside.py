"""The row of the page on posts that sets them beside the market."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.units import PercentUnit, Short

from grafana.source.parts.correlation import correlation
from grafana.source.parts.heat import Grid, grid
from grafana.source.parts.panels import HALF, Graph, graph, query

OF_ALL = 'symbol=~"$symbol", source="all", instance=~"$instance"'
MENTIONS = "max by (symbol) (tickertape_social_mentions{" + OF_ALL + ', resolution="$window"})'
PRICE = "max by (symbol) (tickertape_bars_close{" + OF_ALL + ', resolution=~"$resolution"})'
VOLUME = "max by (symbol) (tickertape_rolling_volume_1m{" + OF_ALL + ', kind="trades"})'


def market() -> Iterator[Graph | Grid]:
    yield graph(
        "Mentions and price",
        "Mentions of the symbol and its price, each as a share of its maximum over the time range shown.",
        PercentUnit,
        query("{{symbol}} mentions", f"{MENTIONS} / max_over_time({MENTIONS}[$__range:])"),
        query("{{symbol}} price", f"{PRICE} / max_over_time({PRICE}[$__range:])"),
    ).span(HALF)
    yield grid(
        "Correlation of mentions and volume",
        "Correlation of a symbol's mentions with the volume traded in the last minute, over fifteen minutes. 1 is "
        "together, 0 without relation, -1 opposite.",
        Short,
        query("{{symbol}}", correlation(MENTIONS, VOLUME, "[15m:5s]")),
        colours=FieldColorModeId.CONTINUOUS_BL_YL_RD,
        low=-1,
        high=1,
    ).decimals(2)

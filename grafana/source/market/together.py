"""The row of the market's page on symbols beside each other."""

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import FieldColorModeId
from grafana_foundation_sdk.models.units import PercentUnit, Short

from grafana.source.market.bars import ALL_SOURCES
from grafana.source.parts.correlation import correlation
from grafana.source.parts.heat import Grid, grid
from grafana.source.parts.panels import query

CHANGE = 'kind="trades", source="all", instance=~"$instance"'


def together() -> Iterator[Grid]:
    yield grid(
        "Change",
        "Price change over the last minute, of all sources: red is down, green is up, full from half a percent.",
        PercentUnit,
        query(
            "{{symbol}}",
            "max by (symbol) (tickertape_rolling_change_1m{" + ALL_SOURCES + ', kind="trades"})',
        ),
        colours=FieldColorModeId.CONTINUOUS_RD_YL_GR,
        low=-0.005,
        high=0.005,
    )
    yield grid(
        "Correlation with $against",
        "Correlation of each symbol's changes with those of the symbol chosen above: changes of ten seconds, over five "
        "minutes. 1 is together, 0 without relation, -1 opposite.",
        Short,
        query(
            "{{symbol}}",
            correlation(
                'max by (symbol) (tickertape_rolling_change_10s{symbol=~"$symbol", ' + CHANGE + "})",
                'max(tickertape_rolling_change_10s{symbol="$against", ' + CHANGE + "})",
                "[5m:10s]",
                one_for_all=True,
            ),
        ),
        colours=FieldColorModeId.CONTINUOUS_BL_YL_RD,
        low=-1,
        high=1,
    ).decimals(2)

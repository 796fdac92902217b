"""Parts that all pages share: the head with links, the variables at the top, the order of panels, and the JSON."""

import json
from collections.abc import Iterable, Mapping
from itertools import count

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.source.panels import PROMETHEUS, Graph, Stat

# Panels in reading order, by the title of their row.
Rows = Mapping[str, Iterable[Stat | Graph]]

TAG = "tickertape"
ALL = VariableOption(text=["All"], value=["$__all"])
# The kind of query that finds the values of a label.
LABEL_VALUES = 1


def headed(name: str, description: str) -> Dashboard:
    """Return a page without panels, with links to all pages of Tickertape."""
    links = DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG]).icon("dashboard").keep_time(True)
    return (
        Dashboard(f"Tickertape: {name}")
        .uid(f"tickertape-{name}")
        .description(description)
        .tags([TAG])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .annotations([])
        .link(links)
    )


def filled(page: Dashboard, rows: Rows) -> Dashboard:
    """Return the page with its panels, numbered in reading order. The SDK places them by their widths and heights."""
    numbers = count(1)
    for title, panels in rows.items():
        page.with_row(Row(title).id(next(numbers)))
        for panel in panels:
            page.with_panel(panel.id(next(numbers)))
    return page


def source() -> DatasourceVariable:
    """Return the variable that chooses a Prometheus; the provisioned one is the default."""
    return (
        DatasourceVariable("datasource")
        .label("Data source")
        .description("The Prometheus to query.")
        .type("prometheus")
        .current(VariableOption(text="Prometheus", value="tickertape-prometheus"))
    )


def worker() -> QueryVariable:
    """Return the variable that chooses workers."""
    return several("instance", "Worker", "Workers to show.", "label_values(tickertape_owned_partitions, instance)")


def single(name: str, label: str, description: str, values: str, chosen: VariableOption) -> QueryVariable:
    """Return a variable that chooses one of the values that a query finds."""
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(PROMETHEUS)
        .definition(values)
        .query({"qryType": LABEL_VALUES, "query": values, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .current(chosen)
    )


def several(name: str, label: str, description: str, values: str, chosen: VariableOption = ALL) -> QueryVariable:
    """Return a variable that chooses any of the values that a query finds, or all of them."""
    return single(name, label, description, values, chosen).multi(True).include_all(True).all_value(".*")


def as_json(page: Dashboard) -> str:
    """Return a page as Grafana reads it."""
    whole = json.loads(JSONEncoder().encode(page.build()))
    # The SDK puts these into a menu; without a placement they are at the top of the page.
    for shown in [*whole["annotations"]["list"], *whole["links"]]:
        del shown["placement"]
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

"""Parts that all pages share: the head with links and marks, the order of panels, and the JSON."""

import json
from collections.abc import Iterable, Mapping
from itertools import count

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DashboardLinkType

from grafana.source.parts import marks
from grafana.source.parts.candles import Candles
from grafana.source.parts.heat import Grid, Heat
from grafana.source.parts.panels import Graph, Stat

# Panels in reading order, by the title of their row.
Rows = Mapping[str, Iterable[Stat | Graph | Candles | Heat | Grid]]

TAG = "tickertape"


def headed(name: str, description: str, view: str = "") -> Dashboard:
    """Return a page without panels, with links to all pages of Tickertape and to the console.

    Parameters
    ----------
    name, description
        Its name, and what it shows.
    view
        The console's page of the same matter; by default that of this name.
    """
    others = DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG]).icon("dashboard")
    console = (
        DashboardLink("Console")
        .type(DashboardLinkType.LINK)
        .url(f"${{console:raw}}/?view={view or name}")
        .tooltip("Tickertape's own page: every result as it changes")
        .icon("external link")
        .target_blank(True)
    )
    return (
        Dashboard(f"Tickertape: {name}")
        .uid(f"tickertape-{name}")
        .description(description)
        .tags([TAG])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .annotations([])
        .link(others.keep_time(True).include_vars(True))
        .link(console)
    )


def filled(page: Dashboard, rows: Rows) -> Dashboard:
    """Return the page with its panels, numbered in reading order, and the marks of workers on its graphs.

    The SDK places panels by their widths and heights.
    """
    for mark in marks.of_workers():
        page.annotation(mark)
    numbers = count(1)
    for title, panels in rows.items():
        page.with_row(Row(title).id(next(numbers)))
        for panel in panels:
            page.with_panel(panel.id(next(numbers)))
    return page


def as_json(page: Dashboard) -> str:
    """Return a page as Grafana reads it."""
    whole = json.loads(JSONEncoder().encode(page.build()))
    # The SDK puts these into a menu; without a placement they are at the top of the page.
    for shown in [*whole["annotations"]["list"], *whole["links"]]:
        del shown["placement"]
    return json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

"""Dashboards as files: what the code makes, complete, laid out without gaps or overlaps, and of metrics that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.queries import ALERTS, CHOSEN, DASHBOARDS, ROOT, every_metric, every_query, named
from tickertape.stream.configuration.settings import Settings

PROVISIONING = ROOT / "grafana" / "provisioning"
COLUMNS = 24

pytestmark = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in read(path)["panels"] if panel["type"] != "row"]


@pytest.mark.filterwarnings("ignore:Prefer using dashboardv2:DeprecationWarning")  # we provision the first schema
def test_it_is_what_the_code_makes(path: Path) -> None:
    # Imported here, for the SDK warns where it is imported.
    from grafana.source.__main__ import made

    assert made().keys() == {each.name for each in DASHBOARDS}
    same = made()[path.name] == path.read_text()
    assert same, "the code and the file differ: run `make dashboards`"


def test_each_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    assert panels(path)
    for panel in panels(path):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]
        if panel["type"] == "timeseries":
            assert panel["options"]["legend"]["showLegend"], panel["title"]


def test_panels_have_names_of_their_own(path: Path) -> None:
    dashboard = read(path)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    refs = [[target["refId"] for target in panel["targets"]] for panel in panels(path)]
    assert all(len(each) == len(set(each)) for each in refs)


def test_panels_fill_their_rows_and_do_not_overlap(path: Path) -> None:
    places = {panel["id"]: panel["gridPos"] for panel in read(path)["panels"]}
    for place in places.values():
        assert place["x"] >= 0
        assert place["w"] > 0
        assert place["x"] + place["w"] <= COLUMNS
    for one, other in combinations(places.values(), 2):
        aside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert aside or apart
    # Grafana would push a panel up into a gap.
    for one in places.values():
        above = [
            other
            for other in places.values()
            if other["x"] < one["x"] + one["w"] and one["x"] < other["x"] + other["w"]
        ]
        assert one["y"] == 0 or one["y"] in {other["y"] + other["h"] for other in above}


def test_stats_come_first_then_rows(path: Path) -> None:
    kinds = [panel["type"] for panel in read(path)["panels"]]
    assert kinds[:2] == ["row", "stat"]
    assert "stat" not in kinds[kinds.index("timeseries") :]


def test_it_is_found_by_a_fixed_uid_and_refers_to_the_provisioned_source(path: Path) -> None:
    dashboard = read(path)
    assert dashboard["uid"] == f"tickertape-{path.stem}"
    assert dashboard["schemaVersion"] >= 41
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"]
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["current"]["value"] == source["uid"]
    assert {"instance"} <= variables.keys()
    assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(panels(path)))) == {"${datasource}"}


def test_variables_that_panels_use_are_declared(path: Path) -> None:
    dashboard = read(path)
    declared = {f"${variable['name']}" for variable in dashboard["templating"]["list"]}
    asked = [target["expr"] for panel in panels(path) for target in panel["targets"]]
    asked += [mark["expr"] for mark in dashboard["annotations"]["list"]]
    used = set(re.findall(r"\$\w+", " ".join(asked)))
    assert used <= declared | {"$__rate_interval", "$__range"}
    # The checks choose a value for each.
    assert used <= CHOSEN.keys()


def test_links_lead_to_the_console_and_to_pages_that_there_are(path: Path) -> None:
    dashboard = read(path)
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    where = Settings()
    assert variables["console"]["query"] == f"http://{where.console_host}:{where.console_port}"
    others, console = dashboard["links"]
    assert (others["type"], others["tags"], others["keepTime"]) == ("dashboards", dashboard["tags"], True)
    # The console has a view for each page; feeds are a part of the pipeline there.
    view = "pipeline" if path.stem == "feeds" else path.stem
    assert console["url"] == f"${{console:raw}}/?view={view}"
    links = [link["url"] for panel in panels(path) for link in panel["fieldConfig"]["defaults"].get("links", [])]
    pages = {f"tickertape-{each.stem}" for each in DASHBOARDS}
    for url in links:
        page = re.match(r"\$\{console:raw\}/\?view=market&symbol=|/d/([\w-]+)\?var-symbol=", url)
        assert page, url
        assert page[1] is None or page[1] in pages - {dashboard["uid"]}, url
        named_there = {name.partition(":")[0] for name in re.findall(r"\$\{([a-z]\w*(?::\w+)?)\}", url)}
        assert named_there <= variables.keys(), url


def test_what_happened_is_marked_on_each(path: Path) -> None:
    marks = [mark["name"] for mark in read(path)["annotations"]["list"]]
    of_results = [] if path.stem in ("pipeline", "feeds") else ["Signals"]
    assert marks == [*of_results, "Rebalances", "Takeovers"]
    assert all(mark["expr"] and mark["enable"] for mark in read(path)["annotations"]["list"])


def test_candles_have_what_makes_a_candle(path: Path) -> None:
    candles = [panel for panel in panels(path) if panel["type"] == "candlestick"]
    assert len(candles) == (path.stem == "market")
    for panel in candles:
        legends = {target["legendFormat"] for target in panel["targets"]}
        assert set(panel["options"]["fields"].values()) == {"open", "high", "low", "close", "volume"} <= legends
        # As many steps as candles: one for each.
        assert {target["interval"] for target in panel["targets"]} == {"$candle"}


def test_metrics_that_are_named_exist(path: Path) -> None:
    metrics = every_metric()
    pages = [path, ALERTS, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        # A family is named where its parts are.
        names = {name for name in named(page.read_text()) if not name.endswith("_")}
        families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics}
        assert names - metrics - families == set(), page.name
    assert all(named(query.expr) for query in every_query())

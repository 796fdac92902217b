"""Every query that a dashboard's panel or an alert makes, and every metric that there is."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tickertape.stream.configuration.settings import Settings
from tickertape.stream.telemetry.declared import declared
from tickertape.stream.telemetry.registries import REGISTRIES

ROOT = Path(__file__).parent.parent.parent
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
ALERTS = ROOT / "prometheus" / "alerts.yml"

# What a person would have chosen.
CHOSEN = {
    "$instance": ".*",
    "$symbol": ".*",
    "$source": "all|history",
    "$resolution": "1s|1m",
    "$window": "1m",
    "$candle": "5s",
    "$against": "BTC-USD",
    "$rule": ".*",
    "$feed": ".*",
    "$__rate_interval": "5s",
    "$__range": "60s",
}
# A condition is a measure and a threshold.
CONDITION = re.compile(r"(.*\S)\s*[<>]\s*([\d.e]+)", re.DOTALL)


class Query(NamedTuple):
    """Who asks, and what."""

    asker: str
    expr: str


def of_dashboard(dashboard: dict[str, Any]) -> Iterator[Query]:
    """Yield what panels and annotations ask, with variables chosen."""
    exprs = [
        (f"{panel['title']}, {target['refId']}", target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]
    exprs += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"] if "expr" in one]
    for asker, chosen in exprs:
        expr = chosen
        for name, value in CHOSEN.items():
            expr = expr.replace(name, value)
        yield Query(f"{dashboard['title']}: {asker}", expr)


def of_alerts() -> Iterator[Query]:
    """Yield what alerts measure, whatever the threshold."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            measure = CONDITION.fullmatch(rule["expr"].strip())
            assert measure, f"{rule['alert']}: {rule['expr']} is not a measure and a threshold"
            yield Query(rule["alert"], measure[1])


def every_query() -> list[Query]:
    of_panels = [query for path in DASHBOARDS for query in of_dashboard(json.loads(path.read_text()))]
    return [*of_panels, *of_alerts()]


def every_metric() -> set[str]:
    """Return the name of each series that our processes or Prometheus make."""
    names = {"up"}
    for kind, registry in REGISTRIES.items():
        names |= {sample.name for family in registry.collect() for sample in family.samples}
        for one in declared(kind):
            parts = ("_bucket", "_sum", "_count") if one.type == "histogram" else ("",)
            names |= {one.name + part for part in parts}
    # The page is current, by another test. One of its names stands for all widths.
    page = (ROOT / "docs" / "metrics.md").read_text()
    return names.union(*(named(page.replace("<width>", width)) for width in Settings().rolling_ms))


def named(text: str) -> set[str]:
    """Return the metrics that a text names."""
    return set(re.findall(r"\b(?:tickertape|process|python)_[a-z0-9_]+\b|\bup(?={)", text))

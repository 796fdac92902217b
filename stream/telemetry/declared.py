"""The description of every metric, for the page that lists them."""

from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.metrics import MetricWrapperBase

from tickertape.stream.telemetry import feed_metrics, metrics
from tickertape.stream.telemetry.registries import REGISTRIES


class Declared(NamedTuple):
    """The description of a metric."""

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    meaning: str


def declared(kind: str) -> Iterator[Declared]:
    """Yield each metric that a kind of process shows."""
    for metric in [*vars(metrics).values(), *vars(feed_metrics).values()]:
        if not isinstance(metric, MetricWrapperBase):
            continue
        (family,) = metric.describe()
        if family.name in REGISTRIES[kind]._names_to_collectors:
            name = family.name + "_total" if family.type == "counter" else family.name
            unit = family.name.rpartition("_")[2]
            yield Declared(name, family.type, unit, tuple(metric._labelnames), family.documentation)

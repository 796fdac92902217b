"""The registries of metrics, one for each kind of process, and the buckets of histograms."""

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

PREFIX = "tickertape_"

# Without this, the time at which each series began would be a second series.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


#: The metrics that each kind of process shows.
WORKER, FEED, SUPERVISOR, ALERTING, EXPORTING = (_registry() for _ in range(5))
REGISTRIES = {"worker": WORKER, "feed": FEED, "supervisor": SUPERVISOR, "alerts": ALERTING, "export": EXPORTING}

# Histogram buckets: for the time of a block or a flush, and for the time of a commit or from an event to its result.
BRIEF = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
LONGER = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
MANY_RECORDS = (1, 8, 64, 256, 1024, 2048, 4096, 8192, 16_384)

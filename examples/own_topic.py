"""Your own topic and schema, without markets: the visits of web pages, and the number of visitors.

Run it: python examples/own_topic.py
"""

from typing import ClassVar
from zlib import crc32

import numpy as np
from msgspec import Struct

from tickertape import INT, Aggregate, Columns, Distinct, Reducer, Slicing, Sum, Topic, Windowing, ints
from tickertape.testing import run


class Click(Struct, frozen=True, kw_only=True):
    """One visit, as JSON on the topic ``clicks``. Results are grouped by ``symbol``, which is the page here."""

    symbol: str
    source: str
    id: int
    time_ms: int
    visitor: str
    dwell_ms: int = 0
    received_ms: int = 0


class Visits(Struct, frozen=True):
    symbol: str
    source: str
    resolution: str
    start_ms: int
    visits: int
    visitors: int
    mean_dwell_ms: float
    final: bool
    revision: int
    incomplete: bool


# A HyperLogLog: it estimates the number of millions of visitors in a few kilobytes, and can be merged.
VISITORS = Distinct("visitors", lg_k=11)


class ClickSlice(Aggregate):
    reducers: ClassVar[tuple[Reducer, ...]] = (Sum("visits", INT), Sum("dwell_ms", INT), VISITORS)


class VisitWindow(ClickSlice):
    def finish(self, partials: Columns) -> Columns:
        return {
            "visits": partials["visits"],
            "mean_dwell_ms": partials["dwell_ms"] / partials["visits"],
            "visitors": np.rint(VISITORS.estimate(partials[VISITORS.column])).astype(np.int64),
        }


def columns(clicks: list[Click]) -> Columns:
    hashes = np.array([crc32(one.visitor.encode()) * 0x9E3779B97F4A7C15 % 2**64 for one in clicks], np.uint64)
    return {
        "visits": np.ones(len(clicks), np.int64),
        "dwell_ms": ints([one.dwell_ms for one in clicks]),
        **VISITORS.lift(hashes),
    }


CLICKS = Topic(name="clicks", holds="a visit of a page, as JSON; or a heartbeat", key="page", growable=True)
CLICK_SLICES = Slicing(topic=CLICKS, record=Click, columns=columns, aggregate=ClickSlice(), lateness_ms=5000)
VISITS = Windowing(
    slicing=CLICK_SLICES,
    aggregate=VisitWindow(),
    resolutions={"1m": 60_000, "1h": 3_600_000},
    sink=Topic(name="visits", holds="visits of a page, as JSON"),
    result=Visits,
    revision="visits",
)

if __name__ == "__main__":
    clicks = [
        Click(symbol="/home", source="web", id=n, time_ms=1_700_000_000_000 + n, visitor=f"v{n % 3}", dwell_ms=100 * n)
        for n in range(5)
    ]
    for one in run(clicks, VISITS).results["visits"]:
        print(one.symbol, one.source, one.resolution, one.visits, one.visitors, one.mean_dwell_ms)

"""Scale from 2 to 4 and 8 partitions at 20,000 events per second: measure differences, gaps in results and latency."""

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from bench import latency, workers
from bench.latency import RATE
from tickertape.schemas.topics import TRADES
from tickertape.stream.cluster import scale
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import topics
from tickertape.stream.progress.shown import NOWHERE
from tickertape.stream.replay import verify

STEPS = (4, 8)
SECONDS = 90
FIRST_SECONDS = 15
BETWEEN_SECONDS = 12
FLOOR_GAP_SECONDS = 5.0
# Bars that begin up to so long after a change also count for the latency during it.
AROUND_MS = 2000


def measure(broker: str) -> dict[str, float]:
    settings = Settings(broker=broker, partitions={TRADES.name: 2})
    topics.create(settings)
    reports: list[tuple[float, scale.ScaleOutcome, float]] = []

    def change() -> None:
        time.sleep(FIRST_SECONDS)
        for partitions in STEPS:
            began_ms = time.time() * 1000
            report = scale.run(settings, TRADES.name, partitions, None, lambda _: None)
            reports.append((began_ms, report, time.time() * 1000))
            time.sleep(BETWEEN_SECONDS)

    market = ["simulate", "--rate", str(RATE), "--quotes", "0"]
    feed = [sys.executable, "-m", "tickertape", "--broker", broker, "feed", *market]
    with workers.running(broker, 2):
        feeding = subprocess.Popen([*feed, "--for", str(SECONDS)], stderr=subprocess.DEVNULL)
        changing = threading.Thread(target=change)
        changing.start()
        shown = latency.bars(broker, SECONDS)
        changing.join()
        feeding.wait(60)
        workers.wait_until_read(broker, 60)
        time.sleep(3)
    times = asyncio.run(latency.sent(broker))
    with tempfile.TemporaryDirectory() as folder:
        compared = asyncio.run(verify.verify(settings, TRADES.name, 2, Path(folder), NOWHERE))
    (trades,) = topics.describe(settings, [TRADES])
    during = {
        of: these
        for of, these in times.items()
        if any(began_ms <= of[1] < ended_ms + AROUND_MS for began_ms, _, ended_ms in reports)
    }
    p50, p99 = np.percentile(latency.by_hop(during, shown)[:, -1], [50, 99]).tolist()
    events = sum(map(len, times.values()))
    return {
        "events": events,
        "partitions": len(trades.partitions),
        "caught_up": float(all(report.caught_up for _, report, _ in reports)),
        "missing": events - sum((part.tallies or {}).get("counted", 0) for part in trades.partitions),
        "agree": sum(one.agree for one in compared),
        "differences": sum(len(one.differences) for one in compared),
        "longest_gap_seconds": max(report.longest_gap_seconds or 0.0 for _, report, _ in reports),
        "p50_ms": p50,
        "p99_ms": p99,
    }


def show(console: Console, figures: dict[str, float]) -> bool:
    exact = not figures["differences"] and not figures["missing"] and bool(figures["caught_up"])
    ok = exact and figures["longest_gap_seconds"] < FLOOR_GAP_SECONDS
    console.print(
        f"partitions 2 → 4 → 8 at {RATE:,} events/s, {figures['events']:,} in all: {figures['agree']:,.0f} bars "
        f"agree with a replay, {figures['differences']:.0f} differ, {figures['missing']:.0f} events missing; longest "
        f"gap in results {figures['longest_gap_seconds']:.1f} s, p50 meanwhile {figures['p50_ms']:.0f} ms, p99 "
        f"{figures['p99_ms']:.0f} ms; floor {FLOOR_GAP_SECONDS:g} s and no difference {'met' if ok else 'MISSED'}",
        highlight=False,
    )
    return ok

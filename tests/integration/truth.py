"""What the bars must be, from the log alone, by a plain loop that shares nothing with the engine."""

from collections import defaultdict

import msgspec
import numpy as np
import pytest

from tests.integration.running import records
from tickertape.agents.market.bars import Bar
from tickertape.schemas.heartbeat import Heartbeat
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade

LATENESS_MS = 2000


def log_of(broker: str) -> dict[int, list[Trade | Heartbeat]]:
    """Return each partition's records, in offset order."""
    log = defaultdict(list)
    decode, beat = msgspec.json.Decoder(Trade).decode, msgspec.json.Decoder(Heartbeat).decode
    for record in records(broker, TRADES.name):
        log[record.partition].append(decode(record.value) if record.value else beat(record.headers[0][1]))
    return log


def truth_of(log: dict[int, list[Trade | Heartbeat]]) -> tuple[dict[str, list[Trade]], int]:
    """Return each bar's trades, and how many were late; one that was sent again, anywhere, counts once."""
    counted: dict[str, list[Trade]] = defaultdict(list)
    seen: set[tuple[str, str, int]] = set()
    late = 0
    for partition in log.values():
        newest: dict[str, int] = {}
        for record in partition:
            frontier_ms = newest.get(record.source, -(10**15)) - LATENESS_MS
            newest[record.source] = max(newest.get(record.source, 0), record.time_ms)
            if isinstance(record, Heartbeat):
                continue
            if (record.time_ms // 1000 + 1) * 1000 <= frontier_ms:
                late += 1
                continue
            if (event := (record.source, record.symbol, record.id)) in seen:
                continue
            seen.add(event)
            for resolution, width_ms in (("1s", 1000), ("1m", 60_000), ("1h", 3_600_000)):
                for source in (record.source, "all"):
                    counted[f"{record.symbol}|{source}|{resolution}|{record.time_ms // width_ms * width_ms}"].append(
                        record
                    )
    return counted, late


def assert_true(held: dict[str, Bar], truth: dict[str, list[Trade]]) -> None:
    ours = {key: bar for key, bar in held.items() if bar.resolution in ("1s", "1m", "1h")}
    assert ours.keys() == truth.keys()
    for key, bar in ours.items():
        trades = truth[key]
        assert (bar.count, bar.revision) == (len(trades), len(trades)), key
        assert bar.volume == pytest.approx(np.sum([t.quantity for t in trades]), rel=1e-12)
        assert (bar.high, bar.low) == (max(t.price for t in trades), min(t.price for t in trades))
        first, last = (pick(trades, key=lambda t: (t.time_ms, t.id)) for pick in (min, max))
        assert (bar.open, bar.close) == (first.price, last.price)

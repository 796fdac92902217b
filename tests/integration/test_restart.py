"""Workers that end and come back go on from their snapshots, or without them, and no bar is another for it."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from msgspec import json

from tests.integration.recorded import polars_bars
from tests.integration.recorded_series import RESOLUTIONS, assert_are_talibs, talibs
from tests.integration.running import all_final, by_kind, feed, is_read, read, running, until
from tests.integration.test_recorded import assert_equal_polars
from tickertape.schemas.topics import SLICES, WINDOW_STATE
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]

SHARDS = range(SLICES.partitions)
START_MS = 1_723_161_255_000
SYMBOLS = [f"S{i:02d}-USD" for i in range(60)]


def trades(seed: int) -> list[Trade]:
    """Make two minutes of trades."""
    rng = random.Random(seed)
    found = []
    for number in range(6000):
        time_ms = START_MS + number * 20
        found.append(
            Trade(
                symbol=rng.choice(SYMBOLS),
                source="binance",
                id=number,
                time_ms=time_ms,
                price=round(rng.uniform(10, 11), 4),
                quantity=round(rng.expovariate(1) + 0.001, 6),
                side=rng.choice(("buy", "sell")),
                received_ms=time_ms,
            )
        )
    return found


def crossings(trades: list[Trade]) -> dict[str, float]:
    """Find where the fast EMA of the closes of seconds goes over the slow one, by TA-Lib: by key, the fast one."""
    found = {}
    for (symbol,), frame in polars_bars(trades, 1000).sort("symbol", "start_ms").group_by("symbol"):
        ema, side = talibs(frame["close"].to_numpy())["ema"], 0
        for start_ms, fast, slow in zip(frame["start_ms"].to_list(), ema["fast"], ema["slow"], strict=True):
            now = 0 if np.isnan(slow) else int(np.sign(fast - slow))
            if now > 0 > side:
                found[f"{symbol}|all|1s|{start_ms}|golden"] = float(fast)
            side = now or side
    return found


RULES = """
[[rule]]
name = "golden"
when = "cross"
on = "indicators/ema"
field = "fast"
over = "slow"
direction = "up"
"""


def ends(broker: str) -> list[int]:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        parts = [TopicPartition(WINDOW_STATE.name, shard) for shard in SHARDS]
        found = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
    return [found[part].offset for part in parts]


def used(said: str) -> int:
    return said.count(": snapshot at offset ")


def test_a_worker_that_was_killed_goes_on_from_its_snapshots(
    own_kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent, rules = trades(1), tmp_path / "signals.toml"
    rules.write_text(RULES)
    changes = {"session_seconds": 4.0, "snapshot_seconds": 1.0, "resolutions": RESOLUTIONS, "signals": str(rules)}
    with running(own_kafka, workers=1, **changes) as (settings, supervisor):
        feed(own_kafka, sent[:4000], close=False)
        until("the first part is read", lambda: is_read(settings))
        before = ends(own_kafka)
        until("each shard has a snapshot", lambda: all(map(int.__gt__, ends(own_kafka), before)))
        assert used(capsys.readouterr().out) == 0
        supervisor.kill(0)
        feed(own_kafka, sent[4000:4500], close=False)
        until("some more is read", lambda: is_read(settings))
        # What follows bars goes on from what another left, who had it from another: half of it is another's by now.
        supervisor.scale(2)
        feed(own_kafka, sent[4500:5000], close=False)
        until("still more is read", lambda: is_read(settings))
        supervisor.kill(1)
        feed(own_kafka, sent[5000:])
        held = all_final(settings)
        assert supervisor.restarts == 2
        follow = by_kind(own_kafka, "indicators")
        signals = list(read(own_kafka, "signals"))
    said = capsys.readouterr().out
    assert used(said) >= len(SHARDS)
    assert "start without their past" not in said
    assert_equal_polars(held, sent)
    for kind in RESOLUTIONS:
        assert_are_talibs(kind, follow[kind], sent)
    # One for each crossing: whoever may have told of it again has said the same.
    assert {key.decode(): json.decode(value)["value"] for key, value in signals} == pytest.approx(crossings(sent))
    assert len(set(signals)) == len({key for key, _ in signals}) > 10
    assert all(json.decode(value)["final"] for _, value in signals)


def keep(broker: str) -> None:
    assert all(ends(broker))


def empty(broker: str) -> None:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        parts = [TopicPartition(WINDOW_STATE.name, shard) for shard in SHARDS]
        admin.delete_records(dict(zip(parts, ends(broker), strict=True)))


def soil(broker: str) -> None:
    async def run() -> None:
        async with Producer(Connection(broker)) as producer:
            for shard in SHARDS:
                producer.send(WINDOW_STATE.name, shard, b"garbage", b"\xc1 it is")
                producer.send(WINDOW_STATE.name, shard, b"garbage", None)

    asyncio.run(run())


@pytest.mark.parametrize(("befalls", "snapshots"), [(keep, SLICES.partitions), (soil, SLICES.partitions), (empty, 0)])
def test_a_worker_that_left_kept_all_that_it_knew(
    own_kafka: str, capsys: pytest.CaptureFixture[str], befalls: Callable[[str], None], snapshots: int
) -> None:
    sent = trades(2)
    with running(own_kafka, workers=1, session_seconds=4.0, snapshot_seconds=1000.0) as (settings, supervisor):
        feed(own_kafka, sent[:4000], close=False)
        until("the first part is read", lambda: is_read(settings))
        supervisor.scale(0)
        befalls(own_kafka)
        feed(own_kafka, sent[4000:])
        supervisor.scale(1)
        held = all_final(settings)
        assert used(capsys.readouterr().out) == snapshots
    assert_equal_polars(held, sent)

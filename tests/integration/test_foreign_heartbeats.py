"""Heartbeats of somebody who knows nothing of us: whatever they say, finals go on."""

import json
import random
import time

import pytest

from tests.integration.running import all_final, feed, put, running, tallies
from tests.integration.truth import assert_true, log_of, truth_of
from tests.replay.generated import trades
from tickertape.schemas.topics import TRADES

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

MANY = 10_000


def beat(source: str, time_ms: int, partitions: int) -> tuple[int, None, list[tuple[str, bytes]]]:
    told = {"source": source, "time_ms": time_ms, "partitions": partitions}
    return partitions % 4, None, [("heartbeat", json.dumps(told).encode())]


def test_finals_go_on_whatever_foreign_heartbeats_say(own_kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    rng, now_ms = random.Random(5), int(time.time() * 1000)
    sent = trades(3000)
    sane = beat("mine", now_ms - 1000, 64)
    # Anything from long ago to far ahead, with any count.
    wild = [
        beat("wild", rng.choice((1_000_000_000_000, now_ms)) + rng.randrange(-(10**10), 10**10), rng.randrange(10_001))
        for _ in range(MANY)
    ]
    with running(own_kafka, workers=2, idle_seconds=2.0, session_seconds=4.0) as (settings, supervisor):
        put(own_kafka, [sane])
        feed(own_kafka, sent[:1500], close=False)
        put(own_kafka, wild)
        feed(own_kafka, sent[1500:2000], close=False)
        # All workers come anew, and have what was committed from those before.
        supervisor.scale(0)
        supervisor.scale(2)
        feed(own_kafka, sent[2000:])
        held = all_final(settings)
        total = tallies(settings, TRADES)
    said = capsys.readouterr().out
    assert "partitions, but there are 4, scheduled ones included: its number is ignored" in said
    truth, late = truth_of(log_of(own_kafka))
    assert total["late"] == late
    assert_true(held, truth)
    assert total["rejected"] + total["heartbeats"] > MANY

"""Workers die, freeze and wake while trades flow: nothing is lost, nothing counted twice."""

import asyncio
import os
import random
import signal
import threading
import time

import msgspec
import pytest

from tests.integration.running import all_final, running, tallies
from tests.integration.truth import assert_true, log_of, truth_of
from tickertape.schemas.heartbeat import Heartbeat, to_headers
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.admin import topics
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]

RATE, SECONDS = 1500, 22
SYMBOLS = [f"S{i:02d}-USD" for i in range(30)]


async def _feed(broker: str, seed: int) -> None:
    """Send trades of two sources, some of them late, for a while; then close every bar."""
    rng = random.Random(seed)
    encode = msgspec.json.Encoder().encode
    async with Producer(Connection(broker)) as producer:
        began, sent, beat = time.time(), 0, 0.0
        partitions = await producer.partitions(TRADES.name)
        while (now := time.time()) < began + SECONDS:
            now_ms = int(now * 1000)
            if now >= beat + 1:
                beat = now
                for partition in range(await producer.partitions(TRADES.name)):
                    for source in ("x", "y"):
                        time_ms = int(began * 1000) - 3_600_000 if now < began + 1 else now_ms - 4000
                        producer.send(TRADES.name, partition, None, None, to_headers(Heartbeat(source, time_ms)))
            while sent < (now - began) * RATE:
                symbol = rng.choice(SYMBOLS)
                late_ms = rng.choice((0, 0, 0, 5, 50, 500, 1500, 4500))
                trade = Trade(
                    symbol=symbol,
                    source=rng.choice("xy"),
                    id=sent,
                    time_ms=now_ms - late_ms,
                    price=round(rng.uniform(10, 11), 4),
                    quantity=round(rng.expovariate(1) + 0.001, 6),
                    side=rng.choice(("buy", "sell")),
                    received_ms=now_ms,
                )
                producer.send(TRADES.name, partition_for(symbol, partitions), symbol.encode(), encode(trade))
                sent += 1
            await asyncio.sleep(0.01)
        for partition in range(await producer.partitions(TRADES.name)):
            for source in ("x", "y"):
                producer.send(TRADES.name, partition, None, None, to_headers(Heartbeat(source, now_ms, end=True)))


def _trouble(broker: str, supervisor: Supervisor) -> None:
    """Kill, freeze past the session time-out and wake, add partitions, kill all."""
    time.sleep(6)
    supervisor.kill(0)
    time.sleep(4)
    frozen = supervisor.pids[1]
    os.kill(frozen, signal.SIGSTOP)
    time.sleep(1)
    topics.add_partitions(Connection(broker), TRADES, 6)
    # Longer than the session: the other takes over, and this one wakes as a zombie.
    time.sleep(6)
    os.kill(frozen, signal.SIGCONT)
    time.sleep(2)
    for slot in supervisor.slots:
        supervisor.kill(slot)


def test_kills_a_zombie_and_new_partitions(own_kafka: str) -> None:
    with running(own_kafka, workers=2, session_seconds=4.0) as (settings, supervisor):
        trouble = threading.Thread(target=_trouble, args=(own_kafka, supervisor))
        trouble.start()
        asyncio.run(_feed(own_kafka, seed=11))
        trouble.join()
        held = all_final(settings)
        total = tallies(settings)
        restarts = supervisor.restarts
    truth, late = truth_of(log_of(own_kafka))
    assert restarts >= 3
    assert late > 100
    assert total["late"] == late
    assert_true(held, truth)

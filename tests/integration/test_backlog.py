"""A backlog whose partitions differ in size: those that are ahead wait, and all of it is read."""

import asyncio
import re
import time
from urllib.request import urlopen

import pytest
from msgspec.json import encode
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.running import fresh, is_read, tallies
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

T = 1_723_161_255_000
SECONDS = 180
SYMBOLS = 1300
# By partition: how often each of its symbols is traded in such a second.
TRADED = (1, 1, 4)
# So far apart that even a slow worker gets through event time faster than the clock: otherwise nothing is held.
APART_MS = 5000


async def produce(broker: str) -> None:
    async with Producer(Connection(broker)) as producer:
        for second in range(SECONDS):
            for partition, times in enumerate(TRADED):
                for number in range(times):
                    time_ms = T + APART_MS * second + 1000 * number // times
                    for symbol in range(SYMBOLS):
                        trade = Trade(
                            symbol=f"S{partition}-{symbol}",
                            source="x",
                            id=second * times + number,
                            time_ms=time_ms,
                            price=10.0,
                            quantity=1.0,
                            side="buy",
                            received_ms=time_ms,
                        )
                        producer.send(TRADES.name, partition, b"k", encode(trade))
            await producer.room()


def partitions(address: str) -> tuple[float, float]:
    """Return how many partitions are held now, and how often one began to be held."""
    with urlopen(address, timeout=5) as answer:
        families = {one.name: one for one in text_string_to_metric_families(answer.read().decode())}
    (now,) = families["tickertape_held_partitions"].samples
    (begun,) = (one for one in families["tickertape_holds"].samples if one.name == "tickertape_holds_total")
    return now.value, begun.value


def test_partitions_that_are_ahead_wait_and_go_on(own_kafka: str) -> None:
    settings = fresh(
        own_kafka,
        partitions={TRADES.name: len(TRADED)},
        agents=["tickertape.agents.market.trades", "tickertape.agents.market.bars"],
    )
    asyncio.run(produce(own_kafka))
    said: list[str] = []
    with Supervisor(settings, 1, said.append):
        until = time.monotonic() + 120
        while not is_read(settings):
            assert time.monotonic() < until
            time.sleep(0.02)
        total = tallies(settings)
        (metrics,) = re.findall(r"its metrics at (\S+)", "\n".join(said))
        now, begun = partitions(metrics)
    assert now == 0
    assert begun >= 1
    assert total["counted"] == sum(TRADED) * SYMBOLS * SECONDS
    assert total["late"] == total["rejected"] == 0

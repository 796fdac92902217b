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
SECONDS = 60
SYMBOLS = 1300
# By partition: how often each of its symbols is traded in a second.
TRADED = (1, 1, 4)


async def produce(broker: str) -> None:
    async with Producer(Connection(broker)) as producer:
        for second in range(SECONDS):
            for partition, times in enumerate(TRADED):
                for number in range(times):
                    time_ms = T + 1000 * second + 1000 * number // times
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


def held_partitions(address: str) -> float:
    with urlopen(address, timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        (sample,) = next(one for one in families if one.name == "tickertape_held_partitions").samples
    return sample.value


def test_partitions_that_are_ahead_wait_and_go_on(own_kafka: str) -> None:
    settings = fresh(
        own_kafka,
        partitions={TRADES.name: len(TRADED)},
        agents=["tickertape.agents.market.trades", "tickertape.agents.market.bars"],
    )
    asyncio.run(produce(own_kafka))
    said: list[str] = []
    most = 0.0
    with Supervisor(settings, 1, said.append):
        until = time.monotonic() + 120
        while not is_read(settings):
            assert time.monotonic() < until
            if found := re.search(r"its metrics at (\S+)", "\n".join(said)):
                most = max(most, held_partitions(found[1]))
            time.sleep(0.02)
        total = tallies(settings)
        assert held_partitions(found[1]) == 0
    assert most >= 1
    assert total["counted"] == sum(TRADED) * SYMBOLS * SECONDS
    assert total["late"] == total["rejected"] == 0

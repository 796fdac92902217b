"""Produce the load: the same trades for all contestants, as JSON, one per record, or in bundles."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from msgspec import json
from msgspec.structs import replace

from tickertape.schemas.bundle import to_headers
from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.bundles.packing import pack
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.partition import partition_for

START_MS = 1_700_000_000_000
SYMBOLS = 200
EVENTS_A_MS = 10


def trades(events: int) -> Iterator[Trade]:
    """Yield trades of 200 symbols of one source, ten per ms of event time."""
    rng = np.random.default_rng(1)
    symbols = [f"S{i:03d}-USD" for i in range(SYMBOLS)]
    price = rng.uniform(10, 50_000, SYMBOLS)
    which = rng.integers(0, SYMBOLS, events).tolist()
    size = rng.exponential(1, events).round(6).tolist()
    step = rng.normal(0, 1e-4, events).tolist()
    buy = rng.integers(0, 2, events).tolist()
    for i in range(events):
        k = which[i]
        price[k] *= 1 + step[i]
        time_ms = START_MS + i // EVENTS_A_MS
        yield Trade(
            symbol=symbols[k],
            source="binance",
            id=i,
            time_ms=time_ms,
            price=round(float(price[k]), 4),
            quantity=size[i] + 1e-6,
            side="buy" if buy[i] else "sell",
            received_ms=time_ms + 3,
        )


def first(count: int, events: int) -> Iterator[Trade]:
    """Yield the first of the trades; if there are fewer than ``count``, all of them again, later in event time."""
    later_ms = -(-events // (EVENTS_A_MS * 1000)) * 1000
    for times in range(-(-count // events)):
        for number, trade in enumerate(islice(trades(events), count - times * events), times * events):
            at_ms = trade.time_ms + times * later_ms
            yield replace(trade, id=number, time_ms=at_ms, received_ms=at_ms + 3) if times else trade


async def produce(broker: str, these: Iterable[Trade], topic: str = TRADES.name, bundle: int = 1) -> None:
    """Fill a topic, without heartbeats, because Faust can't read null values; with bundles of so many events."""
    encode = json.Encoder().encode
    async with Producer(Connection(broker)) as producer:
        partitions = await producer.partitions(topic)
        waiting: dict[int, list[Trade]] = {partition: [] for partition in range(partitions)}

        def send(partition: int) -> None:
            some, waiting[partition] = waiting[partition], []
            if some:
                producer.send(topic, partition, None, pack(some), to_headers(len(some)))

        for i, trade in enumerate(these):
            partition = partition_for(trade.symbol, partitions)
            if bundle == 1:
                producer.send(topic, partition, trade.symbol.encode(), encode(trade))
            else:
                waiting[partition].append(trade)
                if len(waiting[partition]) == bundle:
                    send(partition)
            if i % 10_000 == 0:
                await producer.room()
        for partition in range(partitions):
            send(partition)


if __name__ == "__main__":
    events, *bundle = map(int, sys.argv[2:])
    asyncio.run(produce(sys.argv[1], trades(events), TRADES.name, *bundle))

"""Produce the load: the same trades for all contestants, as JSON, one per record, or in bundles."""

import asyncio
import sys
from collections.abc import Iterator

import numpy as np
from msgspec import json

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


async def produce(broker: str, events: int, bundle: int = 1) -> None:
    """Fill ``trades``, without heartbeats, because Faust can't read null values; with bundles of so many events."""
    encode = json.Encoder().encode
    async with Producer(Connection(broker)) as producer:
        partitions = await producer.partitions(TRADES.name)
        waiting: dict[int, list[Trade]] = {partition: [] for partition in range(partitions)}

        def send(partition: int) -> None:
            some, waiting[partition] = waiting[partition], []
            if some:
                producer.send(TRADES.name, partition, None, pack(some), to_headers(len(some)))

        for i, trade in enumerate(trades(events)):
            partition = partition_for(trade.symbol, partitions)
            if bundle == 1:
                producer.send(TRADES.name, partition, trade.symbol.encode(), encode(trade))
            else:
                waiting[partition].append(trade)
                if len(waiting[partition]) == bundle:
                    send(partition)
            if i % 10_000 == 0:
                await producer.room()
        for partition in range(partitions):
            send(partition)


if __name__ == "__main__":
    asyncio.run(produce(sys.argv[1], int(sys.argv[2]), *map(int, sys.argv[3:])))

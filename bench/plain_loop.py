"""A hand-written loop with confluent-kafka, msgspec and dicts.

Run: python -m bench.plain_loop BROKER EVENTS
"""

import sys
import time

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from tickertape.schemas.topics import BARS, TRADES


class Trade(msgspec.Struct, gc=False):
    symbol: str
    price: float
    quantity: float
    side: str
    time_ms: int


def main() -> None:
    broker, events = sys.argv[1], int(sys.argv[2])
    consumer = Consumer(
        {
            "bootstrap.servers": broker,
            "group.id": f"bench-{time.time():.0f}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "queued.min.messages": 1_000_000,
            "fetch.queue.backoff.ms": 5,
        }
    )
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 50, "queue.buffering.max.messages": 1_000_000})
    consumer.subscribe([TRADES.name])
    decode, encode = msgspec.json.Decoder(Trade).decode, msgspec.json.Encoder().encode
    bars: dict[str, list[float]] = {}
    seen, began, cpu, committed = 0, 0.0, 0.0, 0.0
    while seen < events:
        messages = consumer.consume(10_000, 1.0)
        if not messages:
            continue
        if not began:
            began, cpu = time.perf_counter(), time.process_time()
            committed = began
        # A bar has what is of its trades, and at last its second. When it is published, the notional becomes the VWAP.
        for trade in [decode(value) for message in messages if (value := message.value()) is not None]:
            seen += 1
            second, price, quantity = trade.time_ms // 1000, trade.price, trade.quantity
            bought = quantity if trade.side == "buy" else 0.0
            bar = bars.get(trade.symbol)
            if bar is None or bar[8] != second:
                if bar is not None:
                    bar[5] /= bar[4]
                    producer.produce(BARS.name, encode(bar), trade.symbol)
                bars[trade.symbol] = [price, price, price, price, quantity, price * quantity, bought, 1, second]
                continue
            bar[1] = max(bar[1], price)
            bar[2] = min(bar[2], price)
            bar[3] = price
            bar[4] += quantity
            bar[5] += price * quantity
            bar[6] += bought
            bar[7] += 1
        producer.poll(0)
        if time.perf_counter() - committed > 1:
            producer.flush()
            consumer.commit(asynchronous=True)
            committed = time.perf_counter()
    for symbol, bar in bars.items():
        bar[5] /= bar[4]
        producer.produce(BARS.name, encode(bar), symbol)
    producer.flush()
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as error:
        # The commit in the loop may have covered everything.
        if error.args[0].code() != KafkaError._NO_OFFSET:
            raise
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    print(f"@{events / wall:.0f} {events / spent:.0f}", flush=True)


if __name__ == "__main__":
    main()

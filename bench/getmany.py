"""The limit of consuming record by record: aiokafka's getmany, without decoding anything.

Run: python -m bench.getmany BROKER EVENTS
"""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from tickertape.schemas.topics import TRADES


async def consume(broker: str, events: int) -> None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        check_crcs=False,
        max_partition_fetch_bytes=2 << 20,
    )
    await consumer.start()
    await consumer._client._wait_on_metadata(TRADES.name)
    consumer.assign([TopicPartition(TRADES.name, p) for p in consumer.partitions_for_topic(TRADES.name)])
    seen, began, cpu = 0, 0.0, 0.0
    while seen < events:
        records = await consumer.getmany(timeout_ms=1000)
        if not began:
            began, cpu = time.perf_counter(), time.process_time()
        seen += sum(map(len, records.values()))
    print(f"@{seen / (time.perf_counter() - began):.0f} {seen / (time.process_time() - cpu):.0f}", flush=True)
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], int(sys.argv[2])))

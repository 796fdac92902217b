"""What stream/kafka/clients/producer.py and metadata_pause.py lean on in aiokafka, beyond what it promises.

After an upgrade, look there for what moved; most of it would fail only while a broker is away.
"""

import asyncio
import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import TopicPartition


def made() -> Any:
    """Return a producer that has not been started."""

    async def run() -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers="localhost:1", request_timeout_ms=7000)

    return asyncio.run(run())


def test_a_batch_without_a_leader_waits_for_the_accumulators_time() -> None:
    tp = TopicPartition("t", 0)

    async def run() -> tuple[bool, bool]:
        producer = AIOKafkaProducer(bootstrap_servers="localhost:1", request_timeout_ms=7000)
        accumulator = producer._message_accumulator
        await accumulator.add_message(tp, None, b"x", timeout=1.0)
        (batch,) = accumulator._batches[tp]
        young = batch.expired()
        # As if it had been made so long ago.
        batch._ctime -= 7.5
        return young, batch.expired()

    assert made()._message_accumulator._batch_ttl == 7.0
    assert asyncio.run(run()) == (False, True)


def test_the_senders_task_can_be_had_and_so_ended() -> None:
    assert isinstance(inspect.getattr_static(type(made()._sender), "sender_task"), property)


@pytest.mark.kafka
def test_a_client_that_asks_for_metadata_says_whether_it_got_any(kafka: str) -> None:
    async def asked(broker: str, *, stopped: bool) -> bool:
        client = AIOKafkaClient(bootstrap_servers=broker)
        await client.bootstrap()
        if stopped:
            # Nobody listens there any more: as with a broker that has ended.
            client.cluster._brokers = {
                number: replaced._replace(port=1) for number, replaced in client.cluster._brokers.items()
            }
            client.cluster._bootstrap_brokers = {}
            for connection in client._conns.values():
                connection.close()
            client._conns.clear()
        try:
            return bool(await client._metadata_update(client.cluster, []))
        finally:
            await client.close()

    assert asyncio.run(asked(kafka, stopped=False)) is True
    assert asyncio.run(asked(kafka, stopped=True)) is False

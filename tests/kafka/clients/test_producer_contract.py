"""What stream/kafka/clients/producer.py and patience.py lean on in aiokafka, beyond what it promises.

After an upgrade, look there for what moved; most of it would fail only while a broker is away.
"""

import asyncio
import inspect
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.producer.message_accumulator import MessageBatch


def made() -> Any:
    """Return a producer that has not been started."""

    async def run() -> AIOKafkaProducer:
        return AIOKafkaProducer(bootstrap_servers="localhost:1", request_timeout_ms=7000)

    return asyncio.run(run())


def test_a_batch_without_a_leader_waits_for_the_accumulators_time() -> None:
    accumulator = made()._message_accumulator
    # Set from a request's time-out, in seconds, and given to each batch when it is made.
    assert accumulator._batch_ttl == 7.0
    assert "self._batch_ttl" in inspect.getsource(type(accumulator)._append_batch)
    assert list(inspect.signature(MessageBatch.__init__).parameters)[3] == "ttl"


def test_the_senders_task_can_be_had_and_so_ended() -> None:
    assert isinstance(inspect.getattr_static(type(made()._sender), "sender_task"), property)


def test_a_client_asks_for_metadata_by_a_coroutine_that_says_whether_it_got_any() -> None:
    assert isinstance(made().client, AIOKafkaClient)
    assert inspect.iscoroutinefunction(AIOKafkaClient._metadata_update)
    source = inspect.getsource(AIOKafkaClient._metadata_update)
    assert "return True" in source
    assert "return False" in source

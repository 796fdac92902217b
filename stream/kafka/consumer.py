"""A consumer in no group, connected; where it can't be, one line says why."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from stream.kafka.admin import no_address, no_answer
from stream.kafka.patience import patient

CONNECT_SECONDS = 30.0


async def connected_consumer(broker: str, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer that has been started; the caller stops it.

    Parameters
    ----------
    broker
        ``host:port``, or several with commas.
    **options
        More of what aiokafka's consumer takes.

    Raises
    ------
    ConfigError
        That is no address.
    BrokerError
        Kafka can't be reached.
    """
    try:
        consumer = AIOKafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, **options)
        patient(consumer._client)
    except ValueError as error:
        raise no_address(broker, error) from None
    try:
        await asyncio.wait_for(consumer.start(), CONNECT_SECONDS)
    except ValueError as error:
        raise no_address(broker, error) from None
    except (KafkaError, OSError, TimeoutError):
        await consumer.stop()
        raise no_answer(broker) from None
    return consumer

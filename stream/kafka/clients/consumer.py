"""Connect a consumer; if that fails, one line says why."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.access.diagnosis import find_cause, no_address
from tickertape.stream.kafka.access.security import for_aiokafka
from tickertape.stream.kafka.clients.metadata_pause import patient

CONNECT_SECONDS = 30.0


async def connected_consumer(connection: Connection, **options: Any) -> AIOKafkaConsumer:
    """Return a started consumer; the caller has to stop it.

    Parameters
    ----------
    connection
        The connection settings.
    **options
        Further options of aiokafka's consumer.

    Raises
    ------
    ConfigError
        The broker's address isn't valid.
    BrokerError
        Kafka can't be reached.
    """
    try:
        consumer = AIOKafkaConsumer(**for_aiokafka(connection), enable_auto_commit=False, **options)
        patient(consumer._client)
    except ValueError as error:
        raise no_address(connection.broker, error) from None
    try:
        await asyncio.wait_for(consumer.start(), CONNECT_SECONDS)
    except ValueError as error:
        raise no_address(connection.broker, error) from None
    except (KafkaError, OSError, TimeoutError):
        await consumer.stop()
        raise await find_cause(connection) from None
    return consumer

"""What the broker's metadata says about topics, asked through a client that is already connected."""

import asyncio
from collections.abc import Collection
from time import monotonic
from typing import Any

from aiokafka.errors import KafkaError

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError, name_and_text
from tickertape.stream.kafka.access.rights import no_topic, refused, unseen

# A new topic appears in a broker's metadata a moment after it was created.
APPEAR_SECONDS = 1.0
# A broker that was busy or away for a moment is asked again for so long.
ANSWER_SECONDS = 5.0


async def partition_counts(connection: Connection, client: Any, topics: Collection[str]) -> dict[str, int]:
    """Return the number of partitions of each topic, 0 for one that doesn't exist; the broker is asked each time.

    Raises
    ------
    BrokerError
        The broker doesn't answer.
    """
    try:
        cluster = await client.fetch_all_metadata()
    except KafkaError as error:
        raise refused(connection, error) from error
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}


async def topic_exists(connection: Connection, client: Any, topic: str) -> bool:
    """Return whether a topic exists.

    Raises
    ------
    AccessError
        The user may not see the topic.
    """
    if (await client.fetch_all_metadata()).partitions_for_topic(topic):
        return True
    if hidden := await unseen(connection, client, topic):
        raise hidden
    return False


async def require_topic(connection: Connection, client: Any, topic: str) -> None:
    """Return once a topic is in the broker's metadata.

    Raises
    ------
    BrokerError
        The topic doesn't exist, or the broker doesn't answer.
    """
    # A request for one topic by name would create it on a broker that creates topics; a request for all does not.
    began = monotonic()
    while True:
        try:
            cluster = await client.fetch_all_metadata()
        except KafkaError as error:
            if monotonic() > began + ANSWER_SECONDS:
                raise BrokerError(
                    f"Kafka at {connection.broker} can't be reached ({name_and_text(error)}): start it"
                ) from error
        else:
            if cluster.partitions_for_topic(topic):
                return
            if monotonic() > began + APPEAR_SECONDS:
                raise await unseen(connection, client, topic) or no_topic(connection, topic)
        await asyncio.sleep(0.1)

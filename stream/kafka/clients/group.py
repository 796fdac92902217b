"""The members of a consumer group, by what they call themselves."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.access.security import for_aiokafka


async def clients_of(connection: Connection, group: str) -> list[str]:
    """Return the client's name of each member of a group.

    Where Kafka doesn't say, nobody is known: it tells a worker that may not join in its own words.
    """
    admin = AIOKafkaAdminClient(**for_aiokafka(connection))
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([group])
    except (KafkaError, OSError):
        return []
    finally:
        await admin.close()
    return [member[1] for _, found, _, _, _, members, *_ in answer.groups if found == group for member in members]

"""List the members of a consumer group."""

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.access.security import for_aiokafka


async def clients_of(connection: Connection, group: str) -> list[str]:
    """Return the client id of each member of a group.

    The list is empty if Kafka refuses or doesn't answer: a worker that may not join gets Kafka's own error later.
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

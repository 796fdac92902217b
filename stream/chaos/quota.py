"""Having Kafka take what a producer writes only so fast."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.admin.client import connected

_Entry = AlterClientQuotasRequest.EntryData


@contextmanager
def slowed(connection: Connection, client: str, bytes_a_second: float) -> Iterator[None]:
    """Slow a client down: Kafka holds back its answers to it, and reads nothing of its meanwhile.

    Parameters
    ----------
    connection
        How Kafka is reached.
    client
        The name that its producer goes by.
    bytes_a_second
        What it may write.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    _limit(connection, client, bytes_a_second)
    try:
        yield
    finally:
        _limit(connection, client, None)


def _limit(connection: Connection, client: str, rate: float | None) -> None:
    entity = _Entry.EntityData(entity_type="client-id", entity_name=client)
    quota = _Entry.OpData(key="producer_byte_rate", value=rate or 0.0, remove=rate is None)
    request = AlterClientQuotasRequest(entries=[_Entry(entity=[entity], ops=[quota])], validate_only=False)
    with connected(connection) as admin:
        # kafka-python can say it, but its admin client has no method for it.
        manager = admin._manager

        async def alter() -> None:
            for answer in (await manager.send(request)).entries:
                if answer.error_code:
                    raise BrokerError(f"Kafka sets no quota for {client}: {answer.error_message}")

        manager.run(alter)

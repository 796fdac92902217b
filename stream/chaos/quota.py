"""Limit the rate at which Kafka accepts a producer's writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.admin.client import connected

_Entry = AlterClientQuotasRequest.EntryData


@contextmanager
def throttled(connection: Connection, client: str, bytes_per_second: float) -> Iterator[None]:
    """Throttle a client: Kafka delays its responses to the client, and reads none of its requests meanwhile.

    Parameters
    ----------
    connection
        The connection to Kafka.
    client
        The client id of the producer.
    bytes_per_second
        The rate at which it may write, bytes per second.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses the quota.
    """
    _set_quota(connection, client, bytes_per_second)
    try:
        yield
    finally:
        _set_quota(connection, client, None)


def _set_quota(connection: Connection, client: str, bytes_per_second: float | None) -> None:
    entity = _Entry.EntityData(entity_type="client-id", entity_name=client)
    quota = _Entry.OpData(key="producer_byte_rate", value=bytes_per_second or 0.0, remove=bytes_per_second is None)
    request = AlterClientQuotasRequest(entries=[_Entry(entity=[entity], ops=[quota])], validate_only=False)
    with connected(connection) as admin:
        # kafka-python defines the request, but its admin client has no method for it.
        manager = admin._manager

        async def alter() -> None:
            for answer in (await manager.send(request)).entries:
                if answer.error_code:
                    raise BrokerError(f"Kafka refused a quota for {client}: {answer.error_message}")

        manager.run(alter)

"""The admin client of kafka-python: connect it, retry requests, and read the commits of a group."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import GroupAuthorizationFailedError, KafkaError, RetriableError
from kafka.structs import OffsetAndMetadata

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.access.diagnosis import diagnose, no_address
from tickertape.stream.kafka.access.rights import lacking, refused
from tickertape.stream.kafka.access.security import for_kafka_python

CONNECT_MS = 5000
REQUEST_MS = 15_000
# Requests are repeated for this long: a broker that has just started has no group coordinator yet.
RETRY_SECONDS = 15.0

T = TypeVar("T")


def retrying(ask: Callable[[], T]) -> T:
    """Return the result of a request, and repeat it while the broker isn't ready."""
    until = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return ask()
        except RetriableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def commits(admin: KafkaAdminClient, connection: Connection, group: str) -> dict[TopicPartition, OffsetAndMetadata]:
    """Return a group's commits by partition.

    Raises
    ------
    AccessError
        The right to describe the group is missing.
    """
    try:
        found: dict[TopicPartition, OffsetAndMetadata] = retrying(lambda: admin.list_group_offsets([group]))[group]
    except GroupAuthorizationFailedError:
        raise lacking(connection, f"Describe on group {group}") from None
    return found


@contextmanager
def connected(connection: Connection) -> Iterator[KafkaAdminClient]:
    """Yield an admin client; turn the errors of its library into ours.

    Raises
    ------
    ConfigError
        The broker's address isn't valid.
    BrokerError
        Kafka can't be reached, or refuses a request. `AccessError` if it denies access.
    """
    try:
        admin = KafkaAdminClient(
            **for_kafka_python(connection), bootstrap_timeout_ms=CONNECT_MS, request_timeout_ms=REQUEST_MS
        )
    except ValueError as error:
        raise no_address(connection.broker, error) from None
    except KafkaError:
        raise diagnose(connection) from None
    try:
        with admin:
            yield admin
    except KafkaError as error:
        raise refused(connection, error) from error

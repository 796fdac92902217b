"""Errors for requests that Kafka refuses. The error for a missing right names it in one line."""

from typing import Any

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.metadata import MetadataRequest

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import AccessError, BrokerError, one_line

# Both client libraries use Kafka's own error numbers.
_KINDS = {
    TopicAuthorizationFailedError.errno: "topic",
    GroupAuthorizationFailedError.errno: "group",
    ClusterAuthorizationFailedError.errno: "cluster",
}


def denied(error: BaseException) -> bool:
    """Return whether an error of aiokafka or kafka-python says that a right is missing."""
    return getattr(error, "errno", None) in _KINDS


def refused(connection: Connection, error: BaseException, right: str = "") -> BrokerError:
    """Return our error for an error that Kafka answered with.

    Parameters
    ----------
    connection
        The connection settings.
    error
        The error of aiokafka or kafka-python.
    right
        The right that the request needed, such as ``Read on topic trades``. Empty if unknown.
    """
    said = one_line(str(error)) or type(error).__name__
    if not denied(error):
        return BrokerError(f"Kafka at {connection.broker} refused a request or became unreachable: {said}")
    kind = _KINDS[getattr(error, "errno", None)]
    return lacking(connection, right or f"to use a {kind} ({said})")


def unread(connection: Connection, error: BaseException, group: str) -> BrokerError:
    """Return our error for a worker's consumer that lacks a right on a topic or on its group."""
    said = error.args[0] if error.args else ""
    topic = next(iter(sorted(said)), "") if isinstance(said, set | frozenset) else said
    of_topic = getattr(error, "errno", None) == TopicAuthorizationFailedError.errno
    return refused(connection, error, f"Read on topic {topic}" if of_topic else f"Read on group {group}")


def lacking(connection: Connection, right: str) -> AccessError:
    """Return our error for a missing right, such as ``Read on topic trades``."""
    who = f"user {connection.sasl_username}" if connection.sasl_username else "this client"
    return AccessError(
        f"Kafka at {connection.broker} denies access: {who} lacks the right {right}; docs/security.md lists the rights "
        "that each process needs"
    )


async def unseen(connection: Connection, client: Any, topic: str) -> BrokerError | None:
    """Return an error if Kafka hides a topic or doesn't answer; None if the topic isn't hidden and doesn't exist.

    Parameters
    ----------
    connection
        The connection settings.
    client
        A connected client of aiokafka.
    topic
        The topic's name. The request doesn't create the topic.
    """
    try:
        answer = await client.send(client.get_random_node(), MetadataRequest([topic], allow_auto_topic_creation=False))
    except KafkaError as error:
        return refused(connection, error)
    (found,) = answer.topics
    if found[0] in _KINDS:
        return lacking(connection, f"Describe on topic {topic}")
    return None


def no_topic(connection: Connection, topic: str) -> BrokerError:
    return BrokerError(f"topic {topic} doesn't exist on {connection.broker}: run `tickertape topics create`")

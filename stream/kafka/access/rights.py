"""What Kafka doesn't let us do, in one line that names the right."""

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

# Both libraries number their errors as Kafka does.
_KINDS = {
    TopicAuthorizationFailedError.errno: "topic",
    GroupAuthorizationFailedError.errno: "group",
    ClusterAuthorizationFailedError.errno: "cluster",
}


def denied(error: BaseException) -> bool:
    """Return whether it is for want of a right that Kafka refuses; an error of aiokafka or of kafka-python."""
    return getattr(error, "errno", None) in _KINDS


def refused(connection: Connection, error: BaseException, right: str = "") -> BrokerError:
    """Return what to tell of an error that Kafka answered with.

    Parameters
    ----------
    connection
        How Kafka is reached.
    error
        Of aiokafka or kafka-python.
    right
        What was needed, if that is known: ``Read on topic trades``.
    """
    said = one_line(str(error)) or type(error).__name__
    if not denied(error):
        return BrokerError(f"Kafka at {connection.broker} refuses or went away: {said}")
    kind = _KINDS[getattr(error, "errno", None)]
    return lacking(connection, right or f"a right on a {kind} ({said})")


def unread(connection: Connection, error: BaseException, group: str) -> BrokerError:
    """Return what to tell a worker whose consumer Kafka refuses for want of a right, on a topic or on its group."""
    said = error.args[0] if error.args else ""
    topic = next(iter(sorted(said)), "") if isinstance(said, set | frozenset) else said
    of_topic = getattr(error, "errno", None) == TopicAuthorizationFailedError.errno
    return refused(connection, error, f"Read on topic {topic}" if of_topic else f"Read on group {group}")


def lacking(connection: Connection, right: str) -> AccessError:
    """Return what to tell of a right that we need: ``Read on topic trades``."""
    who = f"user {connection.sasl_username}" if connection.sasl_username else "us"
    return AccessError(
        f"Kafka at {connection.broker} doesn't let {who} do that: it takes {right}; docs/security.md lists the rights "
        "that each process needs"
    )


async def unseen(connection: Connection, client: Any, topic: str) -> BrokerError | None:
    """Return why a topic isn't among those that Kafka shows: it is hidden from us, or there is none (None).

    Parameters
    ----------
    connection
        How Kafka is reached.
    client
        One of aiokafka that is connected.
    topic
        Its name; it isn't created by this.
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

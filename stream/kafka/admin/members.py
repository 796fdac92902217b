"""The members of a consumer group: list the partitions that each worker slot owns, and remove a slot's worker."""

from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.errors import GroupAuthorizationFailedError
from msgspec import Struct

from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.access.rights import lacking
from tickertape.stream.kafka.admin.client import connected, retrying


class Members(Struct, frozen=True):
    """The workers of a pipeline, from Kafka's description of the group.

    Attributes
    ----------
    stable
        True if no rebalance is under way.
    owned
        By slot and topic: the partitions that the slot owns.
    """

    stable: bool
    owned: dict[str, dict[str, list[int]]]

    def share(self, topic: str, partitions: int) -> bool:
        """Return whether all of a topic's partitions have an owner, and no rebalance is under way."""
        owned = {number for parts in self.owned.values() for number in parts.get(topic, ())}
        return self.stable and owned == set(range(partitions))


def describe(settings: Settings) -> Members:
    """Return the members of the pipeline's group.

    Parameters
    ----------
    settings
        The connection settings, and ``group`` and ``epoch``, which give the group's name.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        found = described(admin, settings, group)
    owned = {}
    for member in found["members"]:
        assignment = member["member_assignment"]
        # A member that has joined and not received its partitions yet has no assignment.
        parts = assignment["assigned_partitions"] if isinstance(assignment, dict) else []
        slot = (member["group_instance_id"] or member["member_id"]).removeprefix(f"{group}-")
        owned[slot] = {part["topic"]: sorted(part["partitions"]) for part in parts}
    return Members(found["group_state"] == "Stable", owned)


def described(admin: KafkaAdminClient, connection: Connection, group: str) -> dict[str, Any]:
    """Return Kafka's description of a group.

    Raises
    ------
    AccessError
        The right to describe the group is missing. kafka-python alone would return a group without members.
    """
    try:
        found: dict[str, Any] = retrying(lambda: admin.describe_groups([group]))[group]
    except GroupAuthorizationFailedError:
        # Kafka refuses the look-up of the group's coordinator with this error.
        raise lacking(connection, f"Describe on group {group}") from None
    # Kafka answers with the same error for a group that doesn't exist yet.
    if GroupAuthorizationFailedError.__name__ in (found["error"] or ""):
        raise lacking(connection, f"Describe on group {group}")
    return found


def remove(settings: Settings, slot: str) -> None:
    """Remove a slot's worker that has ended, so the others get its partitions before the session time-out.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        retrying(lambda: admin.remove_group_members(group, [MemberToRemove(group_instance_id=f"{group}-{slot}")]))

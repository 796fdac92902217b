"""The group's members: which worker slot owns what, and how a slot that won't come back is removed."""

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
    """The workers of a pipeline, as Kafka sees them.

    Attributes
    ----------
    stable
        True where no rebalance is under way.
    owned
        By slot: the partitions it owns, by topic.
    """

    stable: bool
    owned: dict[str, dict[str, list[int]]]

    def share(self, topic: str, partitions: int) -> bool:
        """Return whether each of so many partitions of a topic has an owner, and no rebalance is under way."""
        owned = {number for parts in self.owned.values() for number in parts.get(topic, ())}
        return self.stable and owned == set(range(partitions))


def describe(settings: Settings) -> Members:
    """Return who is in the group.

    Parameters
    ----------
    settings
        Where Kafka is; ``group`` and ``epoch`` name the group.

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
        # Between joining and being given partitions a member has none.
        parts = assignment["assigned_partitions"] if isinstance(assignment, dict) else []
        slot = (member["group_instance_id"] or member["member_id"]).removeprefix(f"{group}-")
        owned[slot] = {part["topic"]: sorted(part["partitions"]) for part in parts}
    return Members(found["group_state"] == "Stable", owned)


def described(admin: KafkaAdminClient, connection: Connection, group: str) -> dict[str, Any]:
    """Return what Kafka says of a group.

    Raises
    ------
    AccessError
        It says nothing to us; kafka-python makes that a group without members.
    """
    try:
        found: dict[str, Any] = retrying(lambda: admin.describe_groups([group]))[group]
    except GroupAuthorizationFailedError:
        # Kafka refuses so to say where the group is looked after.
        raise lacking(connection, f"Describe on group {group}") from None
    # It says so too of a group that doesn't exist yet.
    if GroupAuthorizationFailedError.__name__ in (found["error"] or ""):
        raise lacking(connection, f"Describe on group {group}")
    return found


def remove(settings: Settings, slot: str) -> None:
    """Remove a slot's worker, which has ended: its partitions go to the others at once, not after the session time-out.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        retrying(lambda: admin.remove_group_members(group, [MemberToRemove(group_instance_id=f"{group}-{slot}")]))

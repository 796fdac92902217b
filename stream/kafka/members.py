"""The group's members: which worker slot owns what, and how a slot that won't come back is removed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError, RetriableError
from msgspec import Struct

from stream.errors import BrokerError
from stream.settings import Settings

# A broker that has just started has no group coordinator for a moment.
RETRY_SECONDS = 15.0

T = TypeVar("T")


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
    group = _group(settings)
    with _admin(settings.broker) as admin:
        found = _retrying(lambda: admin.describe_groups([group]))[group]
    owned = {}
    for member in found["members"]:
        assignment = member["member_assignment"]
        # Between joining and being given partitions a member has none.
        parts = assignment["assigned_partitions"] if isinstance(assignment, dict) else []
        slot = (member["group_instance_id"] or member["member_id"]).removeprefix(f"{group}-")
        owned[slot] = {part["topic"]: sorted(part["partitions"]) for part in parts}
    return Members(found["group_state"] == "Stable", owned)


def remove(settings: Settings, slot: str) -> None:
    """Remove a slot's worker, which has ended: its partitions go to the others at once, not after the session time-out.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = _group(settings)
    with _admin(settings.broker) as admin:
        _retrying(lambda: admin.remove_group_members(group, [MemberToRemove(group_instance_id=f"{group}-{slot}")]))


def _group(settings: Settings) -> str:
    return f"{settings.group}-{settings.epoch}"


def _retrying(ask: Callable[[], T]) -> T:
    until = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            return ask()
        except RetriableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def _admin(broker: str) -> Iterator[KafkaAdminClient]:
    try:
        with KafkaAdminClient(bootstrap_servers=broker.split(","), bootstrap_timeout_ms=5000) as admin:
            yield admin
    except KafkaError as error:
        raise BrokerError(f"Kafka at {broker} can't be asked for the workers: {error}; see that it runs") from error

"""Looking out for partitions that nobody owns, whoever leads the group."""

import asyncio
import logging
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.structs import TopicPartition

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


async def watch_unowned(consumer: Any) -> None:
    """Have the group share its partitions out anew where one has no owner.

    Only the member that leads a group looks out for new partitions. One that ends and comes back as the static member
    that it was still leads by the broker's books, but isn't told so; then nobody looks, and results go out without
    what is in the new partitions. So every member looks; the broker shares out anew when the one asks that leads.

    It asks at the second look. By then one that knows that it leads has seen to it, and if not, has heard of the
    partitions: it would share out without them, and again with them.
    """
    before: set[TopicPartition] = set()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            now = await _unowned(consumer)
        except KafkaError:
            # The broker is away, or busy with the group.
            continue
        unowned, before = now & before, now
        if unowned:
            names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(unowned))
            log.info("nobody owns %s: the group is to share its partitions out anew", names)
            consumer._coordinator.request_rejoin()


async def _unowned(consumer: Any) -> set[TopicPartition]:
    """Return the partitions that no member has, while no rebalance is under way."""
    coordinator = consumer._coordinator
    there = {
        TopicPartition(topic, number)
        for topic in consumer.subscription()
        for number in consumer.partitions_for_topic(topic) or ()
    }
    if coordinator.coordinator_id is None or not there:
        return set()
    request = DescribeGroupsRequest(groups=[coordinator.group_id])
    answer = await consumer._client.send(coordinator.coordinator_id, request, group=ConnectionGroup.COORDINATION)
    code, _, state, _, _, members = answer.groups[0][:6]
    if code or state != "Stable":
        return set()
    for *_, assignment in members:
        there -= set(ConsumerProtocol.ASSIGNMENT.decode(assignment).partitions()) if assignment else set()
    return there

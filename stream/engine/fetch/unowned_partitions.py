"""Looks for partitions without an owner, whichever member leads the group."""

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
    """Request a rebalance of the group when a partition has no owner.

    In aiokafka only the group's leader looks for new partitions. A static member that restarts may still be the leader
    for the broker, but is not notified of it. Then no member looks, and results are published without the data in new
    partitions. So every member looks and requests a rebalance; the broker acts on the leader's request.

    A member makes the request at its second look. By then a leader that was notified of its role has assigned the
    partitions. Any other leader has them in its metadata by then; earlier, it would rebalance without them first.
    """
    before: set[TopicPartition] = set()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            now = await _unowned(consumer)
        except KafkaError:
            # The broker is unreachable, or busy with the group.
            continue
        unowned, before = now & before, now
        if unowned:
            names = ", ".join(f"{tp.topic}/{tp.partition}" for tp in sorted(unowned))
            log.info("no worker owns %s: requesting a rebalance", names)
            consumer._coordinator.request_rejoin()


async def _unowned(consumer: Any) -> set[TopicPartition]:
    """Return the partitions without an owner; none during a rebalance."""
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

"""Partitions that are added are read, whoever of the workers has been restarted before."""

import pytest

from tests.integration.running import running, until
from tickertape.schemas.topics import TRADES
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin import members, topics

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]


def owned(settings: Settings) -> list[int]:
    """Return the partitions of ``trades`` that two workers own; none while they are shared out."""
    group = members.describe(settings)
    if not (group.stable and len(group.owned) == 2 and all(group.owned.values())):
        return []
    return sorted(number for parts in group.owned.values() for number in parts[TRADES.name])


def test_partitions_are_found_though_each_worker_was_killed_and_came_back(own_kafka: str) -> None:
    # One of the two leads the group and looks out for new partitions. It comes back as the static member that
    # it was, without a rebalance; then nobody is told to lead.
    said: list[str] = []
    with running(own_kafka, workers=2, say=said.append, session_seconds=30.0) as (settings, supervisor):
        until("the partitions are shared", lambda: owned(settings) == list(range(TRADES.partitions)))
        for slot in supervisor.slots:
            heard = len(said)
            supervisor.kill(slot)
            up = f"{supervisor.name(slot)} is up"
            until("it is back", lambda heard=heard, up=up: any(up in line for line in said[heard:]))
        topics.add_partitions(Connection(own_kafka), TRADES, 7)
        until("the new ones are owned too", lambda: owned(settings) == list(range(7)), seconds=20)

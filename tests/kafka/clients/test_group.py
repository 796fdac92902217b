"""Who is in a consumer group."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer

from tickertape.schemas.topics import Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.clients.group import clients_of


@pytest.mark.kafka
def test_members_are_there_by_their_clients_names_until_they_leave(kafka: str, topic: Callable[..., str]) -> None:
    group, name = topic("group"), topic("read")
    create(Settings(broker=kafka), [Topic(name=name, holds="nothing", partitions=1)])

    async def scenario() -> tuple[list[str], list[str], list[str]]:
        settings = Settings(broker=kafka)
        before = await clients_of(settings, group)
        consumer = AIOKafkaConsumer(name, bootstrap_servers=kafka, group_id=group, client_id="tickertape-abc")
        await consumer.start()
        within = await clients_of(settings, group)
        await consumer.stop()
        return before, within, await clients_of(settings, group)

    assert asyncio.run(scenario()) == ([], ["tickertape-abc"], [])


def test_where_kafka_does_not_say_nobody_is_known() -> None:
    assert asyncio.run(clients_of(Settings(broker="127.0.0.1:9"), "g")) == []

"""A client that is connected asks for its topic again when the broker doesn't answer at once."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError

from tickertape.schemas.topics import Topic
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.clients import topics


class Busy(AIOKafkaClient):  # type: ignore[misc]  # aiokafka is untyped
    """Doesn't answer the first times."""

    unanswered = 0

    async def fetch_all_metadata(self) -> ClusterMetadata:
        self.unanswered -= 1
        if self.unanswered >= 0:
            raise KafkaError("Unable to get cluster metadata over all known brokers")
        return await super().fetch_all_metadata()


async def require(broker: str, topic: str, unanswered: int) -> None:
    client = Busy(bootstrap_servers=broker)
    await client.bootstrap()
    client.unanswered = unanswered
    try:
        await topics.require_topic(Connection(broker), client, topic)
    finally:
        await client.close()


@pytest.mark.kafka
def test_it_is_asked_again_for_a_while(kafka: str, topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = Topic(name=topic(), holds="numbers", partitions=1)
    create(Settings(kafka), [made])
    asyncio.run(require(kafka, made.name, 2))
    monkeypatch.setattr(topics, "ANSWER_SECONDS", 0.2)
    with pytest.raises(BrokerError, match=r"can't be reached \(KafkaError: Unable to get .*\): start it"):
        asyncio.run(require(kafka, made.name, 1000))

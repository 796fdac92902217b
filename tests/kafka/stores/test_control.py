"""What ``control`` says, on a real Kafka: of a key the last record, and what comes while one reads."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tickertape.schemas.control import Step, schedule_key, workers_key
from tickertape.schemas.topics import CONTROL
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.stores.control import Control, write_schedule, write_workers

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bare() -> Iterator[str]:
    """A broker of this module's own, without topics at first."""
    with EmbeddedKafka() as embedded:
        yield embedded.broker


def test_a_missing_topic_and_a_missing_kafka_are_one_line(bare: str) -> None:
    async def enter(broker: str) -> None:
        async with Control(Connection(broker)):
            pass

    with pytest.raises(BrokerError, match=r"^topic control doesn't exist on .*: run `tickertape topics create`$"):
        asyncio.run(enter(bare))
    with pytest.raises(BrokerError, match=r"^no Kafka answers at 127.0.0.1:9: start it"):
        asyncio.run(enter("127.0.0.1:9"))
    with pytest.raises(ConfigError, match=r"expected host:port"):
        asyncio.run(enter("here:there"))


def test_the_last_record_of_a_key_holds_and_news_come_at_once(bare: str) -> None:
    create(Settings(bare), [CONTROL])

    async def scenario() -> None:
        async with Producer(Connection(bare)) as producer:
            async with Control(Connection(bare)) as control:
                assert (control.steps("trades"), control.workers("g")) == ((), None)
                write_schedule(producer, "trades", (Step(0, 2),))
                write_schedule(producer, "trades", (Step(0, 2), Step(5000, 4)))
                write_schedule(producer, "quotes", (Step(0, 1),))
                write_workers(producer, "g", 3)
                await producer.flush()
                await control.sync()
                assert control.steps("trades") == (Step(0, 2), Step(5000, 4))
                assert control.steps("quotes") == (Step(0, 1),)
                assert (control.workers("g"), control.workers("h")) == (3, None)
                change = asyncio.create_task(control.change())
                await asyncio.sleep(1)
                began = time.monotonic()
                write_workers(producer, "h", 5)
                assert await change == {workers_key("h")}
                assert time.monotonic() - began < 0.5
                assert (control.workers("g"), control.workers("h")) == (3, 5)
            async with Control(Connection(bare)) as later:
                assert (later.steps("trades"), later.workers("h")) == ((Step(0, 2), Step(5000, 4)), 5)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (schedule_key("t"), b"{", "key schedule|t: not a valid record"),
        (schedule_key("t"), b'{"steps": [[0, 0]]}', "key schedule|t: not a valid record: Expected `int` >= 1"),
        (schedule_key("t"), b'{"steps": [[0, 4], [1000, 4]]}', "the schedule of t doesn't rise"),
        (workers_key("t"), b'{"workers": 0}', "key workers|t: not a valid record: Expected `int` >= 1"),
    ],
)
def test_what_is_none_of_ours_is_one_line(bare: str, key: bytes, value: bytes, told: str) -> None:
    create(Settings(bare), [CONTROL])

    async def scenario() -> None:
        async with Producer(Connection(bare)) as producer:
            producer.send(CONTROL.name, 0, key, value)
            # A key that nobody knows is a later version's.
            producer.send(CONTROL.name, 0, b"else|t", b"?")
        async with Control(Connection(bare)) as control:
            if key == schedule_key("t"):
                control.steps("t")
            else:
                control.workers("t")

    with pytest.raises(BrokerError, match=r"^topic control") as caught:
        asyncio.run(scenario())
    assert told in str(caught.value)

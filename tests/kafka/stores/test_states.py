"""Checkpoints that are too long for a commit, on a real Kafka: each has its own key, and stays for two commits more."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import KafkaError
from faust.types import TP
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tickertape.schemas.checkpoint import Reference, reference_in
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores import states
from tickertape.stream.kafka.stores.states import KafkaStates, StateMissingError, find

pytestmark = pytest.mark.kafka

ONE, TWO = TP("trades", 1), TP("slices", 2)
LONG = "a checkpoint " * 1000


def reference(metadata: str) -> Reference:
    found = reference_in(metadata)
    assert found is not None
    return found


def records(broker: str, name: str) -> list[tuple[str, bool]]:
    """Return keys, and whether they still have a value, in order."""
    consumer = KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest")
    part = TopicPartition(name, 0)
    consumer.assign([part])
    (end,) = consumer.end_offsets([part]).values()
    found: list[tuple[str, bool]] = []
    while consumer.position(part) < end:
        for some in consumer.poll(1000).values():
            found += [(record.key.decode(), record.value is not None) for record in some]
    consumer.close()
    return found


@pytest.fixture
def name(kafka: str, topic: Callable[..., str]) -> str:
    name = topic("commit-state")
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        admin.create_topics([NewTopic(name, 1, 1)])
    return name


def test_what_was_kept_is_found_by_another_worker(kafka: str, name: str) -> None:
    async def run() -> None:
        async with Producer(Connection(kafka)) as producer:
            mine = KafkaStates(producer, "group", name)
            said = {ONE: reference(await mine.keep(ONE, LONG)), TWO: reference(await mine.keep(TWO, LONG[::-1]))}
            assert [one.offset for one in said.values()] == [0, 1]
            assert await KafkaStates(producer, "group", name).find(said) == {ONE: LONG, TWO: LONG[::-1]}

    asyncio.run(run())


def test_a_worker_that_lost_the_partition_replaces_nothing(kafka: str, name: str) -> None:
    async def run() -> None:
        async with Producer(Connection(kafka)) as producer:
            said = reference(await KafkaStates(producer, "group", name).keep(ONE, LONG))
            await KafkaStates(producer, "group", name).keep(ONE, "of a zombie" * 500)
            assert await find(Connection(kafka), {ONE: said}) == {ONE: LONG}

    asyncio.run(run())
    keys = [key for key, _ in records(kafka, name)]
    assert len(set(keys)) == 2
    assert all(key.startswith("group|trades|1|") for key in keys)


def test_what_is_older_than_the_last_two_commits_goes(kafka: str, name: str) -> None:
    async def run() -> list[str]:
        async with Producer(Connection(kafka)) as producer:
            first = KafkaStates(producer, "group", name)
            said = [reference(await first.keep(ONE, LONG))]
            first.committed({ONE: (1, LONG)})
            # The next owner has it from its commit. What it writes and doesn't commit replaces nothing.
            mine = KafkaStates(producer, "group", name)
            await mine.find({ONE: said[0]})
            said += [reference(await mine.keep(ONE, LONG)) for _ in range(3)]
            mine.committed({ONE: (2, LONG)})
            said.append(reference(await mine.keep(ONE, LONG)))
            mine.committed({ONE: (3, LONG)})
            # Then the sources are few again.
            mine.committed({ONE: (4, "short"), TWO: (4, "short")})
            mine.committed({ONE: (5, "short"), TWO: (5, "short")})
            await producer.flush()
            return [one.key for one in said]

    keys = asyncio.run(run())
    assert records(kafka, name) == [
        (keys[0], True),
        (keys[1], True),
        (keys[2], True),
        (keys[3], True),
        (keys[4], True),
        (keys[0], False),
        (keys[3], False),
        (keys[4], False),
    ]


def test_what_was_found_is_written_anew_and_what_was_written_today_is_not(
    kafka: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(states, "monotonic", lambda: now[0])

    async def run() -> None:
        async with Producer(Connection(kafka)) as producer:
            said = reference(await KafkaStates(producer, "group", name).keep(ONE, LONG))
            mine = KafkaStates(producer, "group", name)
            await mine.find({ONE: said})
            assert (mine.is_due(ONE), mine.is_due(TWO)) == (True, False)
            await mine.keep(ONE, LONG)
            assert not mine.is_due(ONE)
            now[0] += states.STANDS_SECONDS + 1
            assert mine.is_due(ONE)

    asyncio.run(run())


@pytest.mark.parametrize("how", ["deleted", "another", "past the end"])
def test_what_is_not_there_is_told_in_one_line(
    kafka: str, name: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "FOUND_SECONDS", 2.0)

    async def kept() -> Reference:
        async with Producer(Connection(kafka)) as producer:
            mine = KafkaStates(producer, "group", name)
            said = reference(await mine.keep(ONE, LONG))
            await mine.keep(ONE, LONG[::-1])
            return said

    said = asyncio.run(kept())
    match how:
        case "deleted":
            with KafkaAdminClient(bootstrap_servers=kafka) as admin:
                admin.delete_records({TopicPartition(name, 0): 1})
        case "another":
            said = Reference(name, 0, 1, said.key, said.checksum, "")
        case _:
            said = Reference(name, 0, 9, said.key, said.checksum, "")
    with pytest.raises(
        StateMissingError, match=rf"trades, partition 1: its commit refers to {name}, partition 0, offset \d"
    ):
        asyncio.run(find(Connection(kafka), {ONE: said}))


def test_while_kafka_can_not_be_asked_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict[TP, str] | Exception] = [
        BrokerError("no Kafka answers"),
        KafkaError("went away"),
        {ONE: LONG},
        StateMissingError("it is not there"),
    ]

    async def answer(*_: object) -> dict[TP, str]:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(states, "find", answer)
    monkeypatch.setattr(states, "AGAIN_SECONDS", 0.0)
    said = {ONE: Reference("commit-state", 0, 1, "key", 0, "")}
    mine = KafkaStates(Producer(Connection("127.0.0.1:9")), "group")
    assert asyncio.run(mine.find(said)) == {ONE: LONG}
    with pytest.raises(StateMissingError):
        asyncio.run(mine.find(said))

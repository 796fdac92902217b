"""Snapshots on real Kafka: whole or not at all, and never a hang, whatever has become of the topic."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from tickertape.schemas.snapshot import Fitting, Piece, Snapshot
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.stores.snapshots import PIECE_BYTES, KafkaSnapshots

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]

ANY = Fitting("log", 0, 1000)
LARGE = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"."


class Topic:
    """A topic of snapshots of two shards, and what writes and reads it."""

    def __init__(self, broker: str, name: str, partitions: int = 2, **configs: str) -> None:
        self.broker = broker
        self.name = name
        self.partitions = partitions
        with KafkaAdminClient(bootstrap_servers=broker) as admin:
            admin.create_topics(
                [NewTopic(name, partitions, 1, topic_configs={"cleanup.policy": "compact,delete"} | configs)]
            )
            admin.wait_for_topics([name])

    @asynccontextmanager
    async def open(self, group: str = "g", fingerprint: str = "f") -> AsyncIterator[KafkaSnapshots]:
        async with Producer(Connection(self.broker)) as producer:
            yield KafkaSnapshots(
                producer, self.partitions, group=group, fingerprint=fingerprint, earlier=["d"], topic=self.name
            )

    def save(self, *saved: tuple[int, int, bytes], group: str = "g", fingerprint: str = "f", log: str = "log") -> None:
        """Save (shard, upto, state)."""

        async def run() -> None:
            async with self.open(group, fingerprint) as snapshots:
                for shard, upto, state in saved:
                    snapshots.save(shard, Snapshot(log, upto, state))

        asyncio.run(run())

    def put(self, *values: bytes | None, partition: int = 0) -> None:
        async def run() -> None:
            async with Producer(Connection(self.broker)) as producer:
                for number, value in enumerate(values):
                    producer.send(self.name, partition, f"raw-{number}".encode(), value)

        asyncio.run(run())

    def load(self, within: Mapping[int, Fitting] | None = None) -> dict[int, tuple[int, bytes]]:
        async def run() -> dict[int, tuple[int, bytes]]:
            async with asyncio.timeout(20), self.open() as snapshots:
                found = {}
                async for shard, snapshot in snapshots.load(within or {0: ANY, 1: ANY}):
                    assert shard not in found
                    found[shard] = snapshot.upto, snapshot.state
                return found

        return asyncio.run(run())

    def trim(self, before: int, partition: int = 0) -> None:
        with KafkaAdminClient(bootstrap_servers=self.broker) as admin:
            admin.delete_records({TopicPartition(self.name, partition): before})


def raw(topic: Topic) -> list[bytes]:
    """Return the values of what partition 0 holds."""
    return [value for _, value in records(topic)]


def records(topic: Topic) -> list[tuple[bytes, bytes]]:
    """Return keys and values of what partition 0 holds."""
    consumer = KafkaConsumer(bootstrap_servers=topic.broker, auto_offset_reset="earliest")
    part = TopicPartition(topic.name, 0)
    consumer.assign([part])
    consumer.seek_to_beginning()
    (end,) = consumer.end_offsets([part]).values()
    found: list[tuple[bytes, bytes]] = []
    while consumer.position(part) < end:
        found += [(record.key, record.value) for some in consumer.poll(1000).values() for record in some]
    consumer.close()
    return found


@pytest.fixture
def state_topic(kafka: str, topic: Callable[..., str]) -> Topic:
    return Topic(kafka, topic("window-state"))


def test_the_newest_of_each_shard_comes_back(state_topic: Topic) -> None:
    state_topic.save((0, 5, LARGE), (1, 7, b"one"), (0, 9, LARGE[::-1]))
    assert state_topic.load() == {0: (9, LARGE[::-1]), 1: (7, b"one")}
    # A second writer's is as good.
    state_topic.save((0, 9, b"other"), (1, 8, LARGE))
    assert state_topic.load() == {0: (9, b"other"), 1: (8, LARGE)}


def test_bounds_are_kept_to(state_topic: Topic) -> None:
    state_topic.save((0, 5, b"5"), (0, 9, b"9"), (1, 5, b"5"))
    assert state_topic.load({0: Fitting("log", 2, 8), 1: Fitting("log", 6, 8)}) == {0: (5, b"5")}


def test_a_topic_never_written_has_none(state_topic: Topic) -> None:
    assert state_topic.load() == {}


def test_an_emptied_topic_has_none(state_topic: Topic) -> None:
    state_topic.save((0, 5, LARGE), (1, 5, b"one"))
    state_topic.trim(4)
    assert state_topic.load() == {1: (5, b"one")}


def test_a_trimmed_one_has_what_is_whole(state_topic: Topic) -> None:
    state_topic.save((0, 5, LARGE))
    state_topic.trim(1)
    assert state_topic.load() == {}
    state_topic.save((0, 6, LARGE))
    assert state_topic.load() == {0: (6, LARGE)}


def test_of_one_half_written_the_one_before_it_counts(state_topic: Topic, kafka: str) -> None:
    other = Topic(kafka, f"{state_topic.name}-whole")
    other.save((0, 9, LARGE))
    values = raw(other)
    assert len(values) == 4
    state_topic.save((0, 5, b"five"))
    state_topic.put(*values[:2])
    assert state_topic.load() == {0: (5, b"five")}
    state_topic.put(*values[3:])
    assert state_topic.load() == {0: (5, b"five")}
    # As compaction leaves it, pieces are of several snapshots.
    state_topic.trim(1)
    assert state_topic.load() == {}
    state_topic.put(values[2])
    assert state_topic.load() == {0: (9, LARGE)}


def test_one_that_is_broken_off_can_take_nothing_of_the_last_away(state_topic: Topic) -> None:
    async def run() -> None:
        async with state_topic.open() as first:
            first.save(0, Snapshot("log", 5, LARGE))
            first.save(0, Snapshot("log", 6, LARGE))
        # Its next owner loads the last, and so writes where the one before that was.
        async with state_topic.open() as second:
            assert [snapshot.upto async for _, snapshot in second.load({0: ANY})] == [6]
            second.save(0, Snapshot("log", 7, LARGE))

    asyncio.run(run())
    keys = [key for key, _ in records(state_topic)]
    assert len(keys) == 12
    assert set(keys[:4]).isdisjoint(keys[4:8])
    assert keys[8:] == keys[:4]


def test_garbage_is_passed_over(state_topic: Topic) -> None:
    state_topic.save((0, 5, b"five"), (0, 6, LARGE))
    state_topic.put(b"\xc1", None, b"\x90", b"{}")
    assert state_topic.load() == {0: (6, LARGE)}


def test_a_state_that_has_changed_on_the_way_is_passed_over(state_topic: Topic) -> None:
    state_topic.save((0, 5, b"five"))
    (value,) = raw(state_topic)
    piece = msgspec.msgpack.decode(value, type=Piece)
    state_topic.put(msgspec.msgpack.encode(msgspec.structs.replace(piece, upto=6, data=b"fivf")))
    assert state_topic.load() == {0: (5, b"five")}


def test_others_snapshots_are_none_of_ours(state_topic: Topic) -> None:
    state_topic.save((0, 5, b"mine"))
    state_topic.save((0, 6, b"another pipeline's"), group="h")
    state_topic.save((0, 7, b"another agent's"), fingerprint="e")
    state_topic.save((0, 8, b"of a topic of that name before"), log="old")
    assert state_topic.load() == {0: (5, b"mine")}


def test_an_earlier_versions_snapshot_is_loaded_until_there_is_one_of_ours(state_topic: Topic) -> None:
    state_topic.save((0, 5, b"the one before"), fingerprint="d")
    assert state_topic.load() == {0: (5, b"the one before")}
    state_topic.save((0, 6, b"ours"))
    assert state_topic.load() == {0: (6, b"ours")}


def test_shards_may_share_a_partition(kafka: str, topic: Callable[..., str]) -> None:
    state_topic = Topic(kafka, topic("window-state"), partitions=1)
    state_topic.save((0, 5, LARGE), (1, 6, b"one"), (2, 7, b"two"))
    assert state_topic.load({0: ANY, 1: ANY, 2: ANY}) == {0: (5, LARGE), 1: (6, b"one"), 2: (7, b"two")}


@pytest.mark.slow
def test_a_compacted_topic_has_the_newest(kafka: str, topic: Callable[..., str]) -> None:
    compacted = {"segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01"}
    state_topic = Topic(kafka, topic("window-state"), partitions=1, **compacted)
    two_pieces = 2 * PIECE_BYTES
    state_topic.save(*((0, upto, bytes([upto]) * two_pieces) for upto in range(1, 9)))
    # The broker's cleaner comes by every 15 s.
    until = time.monotonic() + 45
    while len(raw(state_topic)) == 16:
        assert time.monotonic() < until
        time.sleep(1)
    assert state_topic.load({0: ANY}) == {0: (8, b"\x08" * two_pieces)}
    # Of what is older only what is not compacted yet is there.
    assert state_topic.load({0: Fitting("log", 1, 3)}) == {}

"""Another number of shards: frames that open windows need are split anew, while the workers are drained."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec
from aiokafka.structs import TopicPartition as Part
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from schemas.frame import Frame
from schemas.topics import RESHARDED, SLICES, Topic
from stream.console.reader import Reader
from stream.engine.checkpoint import Views, WindowCheckpoint, to_metadata, windows_from
from stream.engine.resharding import Resharding, merged
from stream.errors import BrokerError, ConfigError
from stream.kafka import topics
from stream.kafka.admin import connected, retrying
from stream.kafka.producer import Producer
from stream.settings import Settings

GONE_SECONDS = 30.0
# New shards hear of the lanes this often while frames are split, so that they need not hold everything open.
LANES_EVERY = 500


class Plan(Struct, frozen=True, array_like=True):
    """That the frames are staged, and what new shards are to know; kept as a commit's metadata."""

    shards: int
    topics: dict[str, Views]


def reshard(settings: Settings, shards: int) -> int:
    """Have ``slices`` made anew with so many partitions, with all that open windows need, while no worker runs.

    What it does can be broken off anywhere, and is finished by another call.

    Parameters
    ----------
    settings
        Whose ``slices``; ``broker`` is set.
    shards
        How many.

    Returns
    -------
    int
        How many frames were carried over.

    Raises
    ------
    ConfigError
        There is no ``slices``, or an earlier call was broken off that made another number.
    BrokerError
        Workers are running; or Kafka can't be reached, or refuses.
    """
    group = f"{settings.group}-{settings.epoch}"
    with connected(settings.broker) as admin:
        _refuse_workers(admin, group)
        plan = _plan(admin, group)
        if plan is None:
            _delete(admin, RESHARDED)
            plan = Plan(shards, _stage(admin, settings, group, shards))
            _keep(admin, group, plan)
        elif plan.shards != shards:
            raise ConfigError(
                f"resharding to {plan.shards} was broken off: finish it with `tickertape reshard slices --shards "
                f"{plan.shards}`, then ask for {shards}"
            )
        _delete(admin, SLICES)
        _create(settings, SLICES, shards)
        ends = asyncio.run(_copy(settings.broker, shards))
        _commit(admin, group, plan, ends)
        _delete(admin, RESHARDED)
        retrying(lambda: admin.delete_groups([_plan_group(group)]))
    return sum(ends)


def _refuse_workers(admin: KafkaAdminClient, group: str) -> None:
    if members := retrying(lambda: admin.describe_groups([group]))[group]["members"]:
        raise BrokerError(f"{len(members)} workers of {group} are running: stop them first")


def _plan_group(group: str) -> str:
    return f"{group}-resharding"


def _plan(admin: KafkaAdminClient, group: str) -> Plan | None:
    group = _plan_group(group)
    commits = retrying(lambda: admin.list_group_offsets([group]))[group]
    kept = commits.get(TopicPartition(RESHARDED.name, 0))
    return None if kept is None else msgspec.json.decode(kept.metadata, type=Plan)


def _keep(admin: KafkaAdminClient, group: str, plan: Plan) -> None:
    metadata = msgspec.json.encode(plan).decode()
    offsets = {TopicPartition(RESHARDED.name, 0): OffsetAndMetadata(0, metadata, -1)}
    retrying(lambda: admin.alter_group_offsets(_plan_group(group), offsets))


def _stage(admin: KafkaAdminClient, settings: Settings, group: str, shards: int) -> dict[str, Views]:
    """Split what open windows need into the staging topic; return what the new shards are to know."""
    before = len(admin.describe_topics([SLICES.name])[0]["partitions"])
    if not before:
        raise ConfigError(f"{SLICES.name} doesn't exist on {settings.broker}; `tickertape topics create` creates it")
    found = retrying(lambda: admin.list_group_offsets([group]))[group]
    commits = {part.partition: commit for part, commit in found.items() if part.topic == SLICES.name}
    _create(settings, RESHARDED, shards)
    resharding = Resharding(before, shards, slice_ms=settings.slice_ms, epoch=settings.epoch)
    asyncio.run(_split(settings.broker, resharding, {shard: commit.offset for shard, commit in commits.items()}))
    checkpoints = [
        windows_from(commits[shard].metadata) if shard in commits else WindowCheckpoint() for shard in range(before)
    ]
    return merged(checkpoints)


async def _split(broker: str, resharding: Resharding, needed: Mapping[int, int]) -> None:
    decode, encode = msgspec.msgpack.Decoder(Frame).decode, msgspec.msgpack.Encoder().encode
    async with Reader(broker, [SLICES.name], from_beginning=True) as reader, Producer(broker) as producer:

        def put(frames: Sequence[tuple[int, Frame]]) -> None:
            for shard, frame in frames:
                producer.put(RESHARDED.name, shard, f"{frame.topic}|{frame.partition}".encode(), encode(frame))

        ends = await reader.ends()
        await reader.skip({Part(SLICES.name, shard): offset for shard, offset in needed.items()})
        read = 0
        while not await reader.has_read(ends):
            for record in await reader.read():
                try:
                    frame = decode(record.value or b"")
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    # The window agent has made a dead letter of it.
                    continue
                put(resharding.split(record.partition, frame))
                read += 1
                if read % LANES_EVERY == 0:
                    put(resharding.lanes())
            await producer.room()
        put(resharding.lanes(end=True))


async def _copy(broker: str, shards: int) -> list[int]:
    """Copy the staged frames to ``slices``, which is empty; return how many there are by shard."""
    copied = [0] * shards
    async with Reader(broker, [RESHARDED.name], from_beginning=True) as reader, Producer(broker) as producer:
        ends = await reader.ends()
        while not await reader.has_read(ends):
            for record in await reader.read():
                producer.put(SLICES.name, record.partition, record.key, record.value)
                copied[record.partition] += 1
            await producer.room()
    return copied


def _commit(admin: KafkaAdminClient, group: str, plan: Plan, ends: Sequence[int]) -> None:
    """Leave each new shard what its owner is to know; it says nothing before it has read what was carried over."""
    offsets = {
        TopicPartition(SLICES.name, shard): OffsetAndMetadata(
            0, to_metadata(WindowCheckpoint(upto=end, topics=plan.topics)), -1
        )
        for shard, end in enumerate(ends)
    }
    retrying(lambda: admin.alter_group_offsets(group, offsets))


def _create(settings: Settings, topic: Topic, shards: int) -> None:
    changed = msgspec.structs.replace(settings, partitions={topic.name: shards})
    topics.create(settings.broker, changed, [topic])


def _delete(admin: KafkaAdminClient, topic: Topic) -> None:
    if topic.name not in admin.list_topics():
        return
    admin.delete_topics([topic.name])
    until = time.monotonic() + GONE_SECONDS
    while topic.name in admin.list_topics():
        if time.monotonic() > until:
            raise BrokerError(f"Kafka has not deleted {topic.name} in {GONE_SECONDS:g} s: see that it is well")
        time.sleep(0.1)

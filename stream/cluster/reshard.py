"""Change the number of shards: drain the workers, and split the frames that open windows need among the new shards."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from aiokafka.structs import TopicPartition as Part
from faust.types import TP
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from tickertape.schemas.checkpoint import Views, WindowCheckpoint, is_long, reference_in, to_metadata, windows_from
from tickertape.schemas.frame import Frame, frames_in, to_records
from tickertape.schemas.topics import RESHARDED, SLICES, WINDOW_STATE, Topic
from tickertape.stream.cluster.slot import Say
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.engine.define.discovery import configured
from tickertape.stream.engine.frames.packing import BadFrame, Inspector
from tickertape.stream.engine.frames.resharding import Resharding, merged
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.admin.client import commits, connected, retrying
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.clients.reader import Reader
from tickertape.stream.kafka.stores.control import Control, write_workers
from tickertape.stream.kafka.stores.states import KafkaStates, find
from tickertape.stream.progress.meter import Count
from tickertape.stream.progress.shown import NOWHERE, Counting, Progress

GONE_SECONDS = 30.0
DRAIN_SECONDS = 45.0
SHARED_SECONDS = 90.0
# The lanes are sent to the new shards after so many frames, or after as many as the lanes take. Without them a shard
# would keep everything open.
LANES_EVERY = 500
# The partition whose commit holds the plan of a resharding.
_PLAN = TP(RESHARDED.name, 0)


def run(settings: Settings, shards: int, say: Say, progress: Progress = NOWHERE) -> None:
    """Drain the workers, run `reshard`, and start the workers again.

    Parameters
    ----------
    settings, shards
        See `reshard`.
    say
        Receives each line about the progress.
    progress
        Where the progress of copying is shown.

    Raises
    ------
    ConfigError, BrokerError
        As `reshard`. Also BrokerError if workers run that no `tickertape up` controls.
    """
    began = time.monotonic()
    workers = asyncio.run(_drain(settings, say))
    try:
        records = reshard(settings, shards, progress)
        say(f"{SLICES.name} has {shards} shards; copied {records:,} records of frames that open windows need")
    finally:
        if workers:
            asyncio.run(_ask_for(settings, workers, paused=False))
    if workers:
        _until_shared(settings, shards)
        say(f"the workers own all {shards} shards; results paused for {time.monotonic() - began:.1f} s")


async def _drain(settings: Settings, say: Say) -> int:
    """Make every `tickertape up` of the group stop its workers; return the number that each must run afterwards."""
    slots = members.describe(settings).owned
    async with Control(settings) as control:
        asked = control.asked(settings.group)
    if not slots and not (asked and asked.paused):
        return 0
    most = max(Counter(slot.rpartition("-")[0] for slot in slots).values(), default=1)
    workers = asked.workers if asked else most
    await _ask_for(settings, workers, paused=True)
    until = time.monotonic() + DRAIN_SECONDS
    while slots := members.describe(settings).owned:
        if time.monotonic() > until:
            await _ask_for(settings, workers, paused=False)
            raise BrokerError(f"no `tickertape up` controls these workers, stop them first: {', '.join(sorted(slots))}")
        await asyncio.sleep(0.2)
    say("the workers have drained")
    return workers


async def _ask_for(settings: Settings, workers: int, *, paused: bool) -> None:
    async with Producer(settings) as producer:
        write_workers(producer, settings.group, workers, paused=paused)


def _until_shared(settings: Settings, shards: int) -> None:
    until = time.monotonic() + SHARED_SECONDS
    while not members.describe(settings).share(SLICES.name, shards):
        if time.monotonic() > until:
            raise BrokerError(f"the workers don't own all shards after {SHARED_SECONDS:g} s: check their logs")
        time.sleep(0.2)


class Plan(Struct, frozen=True, array_like=True):
    """The plan of a resharding whose frames are staged, stored as a commit's metadata.

    Attributes
    ----------
    shards
        The new number of shards.
    topics
        For each input topic, how far the new shards start out.
    """

    shards: int
    topics: dict[str, Views]


def reshard(settings: Settings, shards: int, progress: Progress = NOWHERE) -> int:
    """Create ``slices`` again with another number of partitions, and the frames that open windows need.

    No worker may run. If a call is interrupted at any point, the next call finishes it.

    Parameters
    ----------
    settings
        The settings of the pipeline; ``broker`` is set.
    shards
        The new number of shards.
    progress
        Where the progress of copying is shown.

    Returns
    -------
    int
        The number of records that were copied.

    Raises
    ------
    ConfigError
        ``slices`` doesn't exist, or an interrupted call had another number of shards.
    BrokerError
        Workers are running, or Kafka can't be reached or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        _refuse_workers(admin, settings, group)
        plan = _plan(admin, settings, group)
        if plan is None:
            _delete(admin, RESHARDED)
            plan = Plan(shards, _stage(admin, settings, group, shards, progress))
            _keep(admin, settings, group, plan)
        elif plan.shards != shards:
            raise ConfigError(
                f"resharding to {plan.shards} was interrupted: finish it with `tickertape reshard slices --shards "
                f"{plan.shards}`, then reshard to {shards}"
            )
        _delete(admin, SLICES)
        _create(settings, SLICES, shards)
        # The snapshots belong to the old shards.
        _delete(admin, WINDOW_STATE)
        _create(settings, WINDOW_STATE, shards)
        ends = asyncio.run(_copy(settings, shards, progress))
        _commit(admin, settings, group, plan, ends)
        _delete(admin, RESHARDED)
        retrying(lambda: admin.delete_groups([_plan_group(group)]))
    return sum(ends)


def _refuse_workers(admin: KafkaAdminClient, settings: Settings, group: str) -> None:
    if found := members.described(admin, settings, group)["members"]:
        raise BrokerError(f"{len(found)} workers of {group} are running: stop them first")


def _plan_group(group: str) -> str:
    return f"{group}-resharding"


def _plan(admin: KafkaAdminClient, settings: Settings, group: str) -> Plan | None:
    group = _plan_group(group)
    kept = commits(admin, settings, group).get(TopicPartition(RESHARDED.name, 0))
    return None if kept is None else msgspec.json.decode(_whole(settings, {_PLAN: kept.metadata})[_PLAN], type=Plan)


def _keep(admin: KafkaAdminClient, settings: Settings, group: str, plan: Plan) -> None:
    metadata = _short(settings, group, {_PLAN: msgspec.json.encode(plan).decode()})[_PLAN]
    offsets = {TopicPartition(RESHARDED.name, 0): OffsetAndMetadata(0, metadata, -1)}
    retrying(lambda: admin.alter_group_offsets(_plan_group(group), offsets))


def _stage(
    admin: KafkaAdminClient, settings: Settings, group: str, shards: int, progress: Progress
) -> dict[str, Views]:
    """Write the frames that open windows need to the staging topic, split for the new shards; return their views."""
    before = len(admin.describe_topics([SLICES.name])[0]["partitions"])
    if not before:
        raise ConfigError(f"{SLICES.name} doesn't exist on {settings.broker}; `tickertape topics create` creates it")
    said = {
        part.partition: commit for part, commit in commits(admin, settings, group).items() if part.topic == SLICES.name
    }
    _create(settings, RESHARDED, shards)
    resharding = Resharding(before, shards, slice_ms=settings.slice_ms, epoch=settings.epoch)
    needed = {shard: commit.offset for shard, commit in said.items()}
    asyncio.run(_split(settings, resharding, needed, progress))
    whole = _whole(settings, {TP(SLICES.name, shard): commit.metadata for shard, commit in said.items()})
    return merged([windows_from(whole.get(TP(SLICES.name, n), "")) or WindowCheckpoint() for n in range(before)])


def _whole(settings: Settings, metadata: Mapping[TP, str]) -> dict[TP, str]:
    """Return the checkpoints of commits, read from the records that some commits refer to."""
    references = {tp: found for tp, text in metadata.items() if (found := reference_in(text)) is not None}
    return dict(metadata) | asyncio.run(find(settings, references))


def _short(settings: Settings, group: str, metadata: Mapping[TP, str]) -> dict[TP, str]:
    """Return metadata for commits. A checkpoint that is too long is stored, and replaced by a reference."""

    async def run() -> dict[TP, str]:
        async with Producer(settings) as producer:
            states = KafkaStates(producer, group)
            return {tp: await states.keep(tp, text) if is_long(text) else text for tp, text in metadata.items()}

    return asyncio.run(run()) if any(map(is_long, metadata.values())) else dict(metadata)


async def _split(settings: Settings, resharding: Resharding, needed: Mapping[int, int], progress: Progress) -> None:
    inspectors = {slicing.topic.name: Inspector(slicing.aggregate) for slicing in configured(settings)[0]}
    encode = msgspec.msgpack.Encoder().encode
    async with Reader(settings, [SLICES.name], from_beginning=True) as reader, Producer(settings) as producer:

        def send(frames: Sequence[tuple[int, Frame]]) -> int:
            encoded: dict[int, bytes] = {}
            # As a worker does, a record for each shard and topic.
            together: defaultdict[tuple[int, str], list[bytes]] = defaultdict(list)
            for shard, frame in frames:
                # The lanes are the same objects for all shards.
                if (value := encoded.get(id(frame))) is None:
                    value = encoded[id(frame)] = encode(frame)
                together[shard, frame.topic].append(value)
            for (shard, topic), values in together.items():
                for record in to_records(values):
                    producer.send(RESHARDED.name, shard, topic.encode(), record)
            return len(frames)

        ends = await reader.ends()
        await reader.skip({Part(SLICES.name, shard): offset for shard, offset in needed.items()})
        until_lanes, begins = LANES_EVERY, await reader.positions()
        split = Counting(sum(end - begins[tp] for tp, end in ends.items()))
        with progress.of("split", "records", split):
            while not await reader.has_read(ends):
                for record in await reader.read():
                    split.done += 1
                    try:
                        frames = frames_in(record.value or b"")
                        for frame in frames:
                            inspectors[frame.topic].inspect(frame)
                    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BadFrame, KeyError):
                        # No agent reads such a record. If it isn't ours, the shard's owner has sent it to dead letters.
                        continue
                    for frame in frames:
                        send(resharding.split(record.partition, frame))
                    until_lanes -= len(frames)
                    if until_lanes <= 0:
                        until_lanes = max(LANES_EVERY, send(resharding.lanes()))
                await producer.room()
        send(resharding.lanes(end=True))


async def _copy(settings: Settings, shards: int, progress: Progress) -> list[int]:
    """Copy the staged records to ``slices``, which is empty; return the number of records of each shard."""
    copied = [0] * shards
    async with Reader(settings, [RESHARDED.name], from_beginning=True) as reader, Producer(settings) as producer:
        begins, ends = await reader.begins(), await reader.ends()
        total = sum(end - begins[tp] for tp, end in ends.items())
        with progress.of("copied", "records", lambda: Count(sum(copied), total)):
            while not await reader.has_read(ends):
                for record in await reader.read():
                    producer.send(SLICES.name, record.partition, record.key, record.value)
                    copied[record.partition] += 1
                await producer.room()
    return copied


def _commit(admin: KafkaAdminClient, settings: Settings, group: str, plan: Plan, ends: Sequence[int]) -> None:
    """Commit a checkpoint for each new shard. Its owner publishes nothing before it has read the copied frames."""
    said = {
        TP(SLICES.name, shard): to_metadata(WindowCheckpoint(upto=end, topics=plan.topics))
        for shard, end in enumerate(ends)
    }
    offsets = {
        TopicPartition(*tp): OffsetAndMetadata(0, metadata, -1)
        for tp, metadata in _short(settings, group, said).items()
    }
    retrying(lambda: admin.alter_group_offsets(group, offsets))


def _create(settings: Settings, topic: Topic, shards: int) -> None:
    changed = msgspec.structs.replace(settings, partitions={topic.name: shards})
    topics.create(changed, [topic])


def _delete(admin: KafkaAdminClient, topic: Topic) -> None:
    if topic.name not in admin.list_topics():
        return
    admin.delete_topics([topic.name])
    until = time.monotonic() + GONE_SECONDS
    while topic.name in admin.list_topics():
        if time.monotonic() > until:
            raise BrokerError(f"Kafka has not deleted {topic.name} in {GONE_SECONDS:g} s: check the broker's log")
        time.sleep(0.1)

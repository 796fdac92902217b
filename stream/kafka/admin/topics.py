"""The topics on a broker: make those of the catalogue, give one more partitions, and say how far each has been read."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import ClusterAuthorizationFailedError, TopicAlreadyExistsError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from tickertape.schemas.checkpoint import slices_from, told_in, windows_from
from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.access.rights import lacking
from tickertape.stream.kafka.admin.client import RETRY_SECONDS, commits, connected, retrying


class PartitionState(Struct, frozen=True, kw_only=True):
    """How far one partition is written and read.

    Attributes
    ----------
    partition
        Its number.
    start, end
        The log's first offset, and the one that its next record gets.
    committed
        The offset that the pipeline would read from after a restart; None if it has committed none.
    upto
        The offset that it has been read to, by its last commit; None if there is none.
    lag
        ``end - upto``, records; with no commit all that is there. None where the pipeline doesn't read the topic.
    watermark_ms
        The highest of its lanes, up to ``upto``; None where there is none.
    tallies
        What became of the records, up to ``upto``; None for topics that have none.
    """

    partition: int
    start: int
    end: int
    committed: int | None
    upto: int | None
    lag: int | None
    watermark_ms: int | None = None
    tallies: dict[str, int] | None


class TopicState(Struct, frozen=True, kw_only=True):
    """A topic as it is on the broker; what it holds and its key are the catalogue's.

    Attributes
    ----------
    name, holds, key
        As in the catalogue.
    exists
        False where it has not been created; then it has no partitions, and what follows is the catalogue's.
    retention_ms
        How long records are kept; -1: for ever.
    cleanup
        ``cleanup.policy``.
    max_record_bytes
        The largest record that the broker takes.
    append_time
        True where the broker's clock stamps the records.
    lag
        Of all partitions; None where the pipeline doesn't read the topic.
    partitions
        Each, in order.
    """

    name: str
    holds: str
    key: str
    exists: bool
    retention_ms: int
    cleanup: str
    max_record_bytes: int
    append_time: bool
    lag: int | None
    partitions: list[PartitionState]


def create(settings: Settings, topics: Sequence[Topic] = CATALOGUE) -> list[str]:
    """Create those topics that don't exist, and wait until all of them can be used.

    Parameters
    ----------
    settings
        How Kafka is reached. Its ``partitions`` come before the catalogue's. What exists is left as it is.
    topics
        Which.

    Returns
    -------
    list of str
        The names of those that were created.

    Raises
    ------
    ConfigError
        The settings name partitions of a topic that there isn't.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    names = [topic.name for topic in topics]
    known = {*names, *(topic.name for topic in CATALOGUE)}
    if unknown := sorted(settings.partitions.keys() - known):
        raise ConfigError(f"partitions of {unknown[0]}: no such topic; there are {', '.join(sorted(known))}")
    with connected(settings) as admin:
        there = set(admin.list_topics())
        missing = {
            topic.name: {
                "num_partitions": settings.partitions.get(topic.name, topic.partitions),
                "configs": _configs(topic),
            }
            for topic in topics
            if topic.name not in there
        }
        created = []
        if missing:
            for answer in admin.create_topics(missing, raise_errors=False)["topics"]:
                if answer["error_code"] == 0:
                    created.append(answer["name"])
                # Another process may have been quicker.
                elif answer["error_code"] in (
                    TopicAuthorizationFailedError.errno,
                    ClusterAuthorizationFailedError.errno,
                ):
                    raise lacking(settings, f"Create on topic {answer['name']}")
                elif answer["error_code"] != TopicAlreadyExistsError.errno:
                    raise BrokerError(
                        f"Kafka at {settings.broker} won't create {answer['name']}: {answer['error_message']}"
                    )
        admin.wait_for_topics(names)
    return created


def grow(connection: Connection, topic: Topic, partitions: int) -> int:
    """Give a topic more partitions; as many as it has is no change.

    Parameters
    ----------
    connection
        How Kafka is reached.
    topic
        Which; it must be ``growable``.
    partitions
        How many it is to have.

    Returns
    -------
    int
        How many it had.

    Raises
    ------
    ConfigError
        It would shrink, isn't growable, or doesn't exist.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    with connected(connection) as admin:
        had = len(_seen(admin, connection, [topic.name])[topic.name])
        may_grow(topic, had, partitions)
        if partitions > had:
            try:
                admin.create_partitions({topic.name: partitions})
            except TopicAuthorizationFailedError:
                raise lacking(connection, f"Alter on topic {topic.name}") from None
            until = time.monotonic() + RETRY_SECONDS
            while len(admin.describe_topics([topic.name])[0]["partitions"]) < partitions and time.monotonic() < until:
                time.sleep(0.05)
            admin.wait_for_topics([topic.name])
    return had


def may_grow(topic: Topic, had: int, partitions: int) -> None:
    """Raise ConfigError where a topic that has so many partitions can't have so many."""
    if not topic.growable:
        raise ConfigError(
            f"{topic.name} can't get more partitions: a key's records would be spread over two of them; "
            f"set TICKERTAPE_PARTITIONS_{topic.name.replace('-', '_').upper()} before it is created"
        )
    if not had:
        raise ConfigError(f"{topic.name} doesn't exist; `tickertape topics create` creates it")
    if partitions < had:
        raise ConfigError(f"{topic.name} has {had} partitions, and Kafka can't take any away: give {had} or more")


def describe(settings: Settings, topics: Sequence[Topic] = CATALOGUE) -> list[TopicState]:
    """Return each topic as it is on the broker, and how far the pipeline has read it.

    Parameters
    ----------
    settings
        How Kafka is reached. Its ``group`` and ``epoch`` say whose reading.
    topics
        Which.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        there = _seen(admin, settings, [topic.name for topic in topics])
        parts = [
            TopicPartition(topic.name, number)
            for topic in topics
            for number in sorted(p["partition_index"] for p in there.get(topic.name, ()))
        ]
        if not parts:
            return [_state(topic, _configs(topic), []) for topic in topics]
        names = sorted({part.topic for part in parts})
        configs = admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, list(_configs(CATALOGUE[0]))) for name in names],
            config_filter="all",
        )["topic"]
        starts = retrying(lambda: admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST)))
        # Commits before ends: the other way round a lag could come out below zero.
        committed = commits(admin, settings, group)
        ends = retrying(lambda: admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST)))
    states = []
    for topic in topics:
        mine = [part for part in parts if part.topic == topic.name]
        # An input topic is read, be it that nobody has begun.
        read = topic.growable or any(part in committed for part in mine)
        partitions = [_partition(topic, p, starts[p].offset, ends[p].offset, committed.get(p), read) for p in mine]
        found = {name: config["value"] for name, config in configs.get(topic.name, {}).items()}
        if partitions and not found:
            raise lacking(settings, f"DescribeConfigs on topic {topic.name}")
        states.append(_state(topic, found or _configs(topic), partitions))
    return states


def _seen(admin: KafkaAdminClient, connection: Connection, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the partitions of each topic; of one that doesn't exist, none.

    Raises
    ------
    AccessError
        One is hidden from us.
    """
    found = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
    for name in names:
        if name in found and found[name]["error_code"] == TopicAuthorizationFailedError.errno:
            raise lacking(connection, f"Describe on topic {name}")
    return {name: topic["partitions"] for name, topic in found.items()}


def _partition(
    topic: Topic, part: TopicPartition, start: int, end: int, commit: OffsetAndMetadata | None, read: bool
) -> PartitionState:
    upto, watermark_ms, tallies = None, None, None
    if commit is not None:
        # One that is set by hand says no more than what is read next.
        upto = commit.offset
        if topic.growable and (slices := slices_from(told_in(commit.metadata))):
            upto, tallies = slices.upto, msgspec.structs.asdict(slices.tallies)
            watermark_ms = max((lane.watermark_ms for lane in slices.lanes), default=None)
        elif not topic.growable and (windows := windows_from(told_in(commit.metadata))):
            upto = windows.upto
    lag = None
    if read:
        lag = end - (start if upto is None else upto)
    return PartitionState(
        partition=part.partition,
        start=start,
        end=end,
        committed=None if commit is None else commit.offset,
        upto=upto,
        lag=lag,
        watermark_ms=watermark_ms,
        tallies=tallies,
    )


def _state(topic: Topic, configs: dict[str, str], partitions: list[PartitionState]) -> TopicState:
    lags = [p.lag for p in partitions if p.lag is not None]
    return TopicState(
        name=topic.name,
        holds=topic.holds,
        key=topic.key,
        exists=bool(partitions),
        retention_ms=int(configs["retention.ms"]),
        cleanup=configs["cleanup.policy"],
        max_record_bytes=int(configs["max.message.bytes"]),
        append_time=configs["message.timestamp.type"] == "LogAppendTime",
        lag=sum(lags) if lags else None,
        partitions=partitions,
    )


def _configs(topic: Topic) -> dict[str, str]:
    return {
        "retention.ms": str(topic.retention_ms),
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(topic.max_record_bytes),
        "message.timestamp.type": "LogAppendTime" if topic.append_time else "CreateTime",
        "segment.bytes": str(topic.segment_bytes),
    }

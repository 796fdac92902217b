"""The topics on a broker: create those of the catalogue, add partitions, and describe how far each has been read."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import ClusterAuthorizationFailedError, TopicAlreadyExistsError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata
from msgspec import Struct

from tickertape.schemas.checkpoint import checkpoint_in, slices_from, windows_from
from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.access.rights import lacking
from tickertape.stream.kafka.admin.client import RETRY_SECONDS, commits, connected, retrying


class PartitionState(Struct, frozen=True, kw_only=True):
    """How far one partition has been written and read.

    Attributes
    ----------
    partition
        The partition's number.
    start, end
        The log's first offset, and the offset of its next record.
    committed
        The offset from which the pipeline would read after a restart; None without a commit.
    upto
        The offset up to which the partition has been read, by the last commit; None without a commit.
    lag
        ``end - upto``, in records; ``end - start`` without a commit. None if the pipeline doesn't read the topic.
    watermark_ms
        The highest watermark of its lanes, as of ``upto``; None without lanes.
    tallies
        What became of the records up to ``upto``; None for topics without tallies.
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
    """A topic on the broker.

    Attributes
    ----------
    name, holds, key
        As in the catalogue.
    exists
        False if the topic has not been created. It then has no partitions, and its configs are the catalogue's.
    retention_ms
        How long records are kept; -1: for ever.
    cleanup
        The config ``cleanup.policy``.
    max_record_bytes
        The largest record that the broker accepts.
    append_time
        True if the broker's clock stamps the records.
    lag
        The sum over all partitions, in records; None if the pipeline doesn't read the topic.
    partitions
        The partitions, in order.
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
    """Create the topics that don't exist, and wait until all topics can be used. Existing topics aren't changed.

    Parameters
    ----------
    settings
        The connection settings, and ``partitions``, which override the catalogue's numbers.
    topics
        The topics that must exist.

    Returns
    -------
    list of str
        The names of the topics that were created.

    Raises
    ------
    ConfigError
        The setting ``partitions`` names an unknown topic.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    names = [topic.name for topic in topics]
    known = {*names, *(topic.name for topic in CATALOGUE)}
    if unknown := sorted(settings.partitions.keys() - known):
        raise ConfigError(
            f"setting `partitions` names an unknown topic: {unknown[0]}; the topics are {', '.join(sorted(known))}"
        )
    with connected(settings) as admin:
        existing = set(admin.list_topics())
        missing = {
            topic.name: {
                "num_partitions": settings.partitions.get(topic.name, topic.partitions),
                "configs": _configs(topic),
            }
            for topic in topics
            if topic.name not in existing
        }
        created = []
        if missing:
            for answer in admin.create_topics(missing, raise_errors=False)["topics"]:
                if answer["error_code"] == 0:
                    created.append(answer["name"])
                elif answer["error_code"] in (
                    TopicAuthorizationFailedError.errno,
                    ClusterAuthorizationFailedError.errno,
                ):
                    raise lacking(settings, f"Create on topic {answer['name']}")
                # A topic that exists by now was created by another process.
                elif answer["error_code"] != TopicAlreadyExistsError.errno:
                    raise BrokerError(
                        f"Kafka at {settings.broker} won't create {answer['name']}: {answer['error_message']}"
                    )
        admin.wait_for_topics(names)
    return created


def add_partitions(connection: Connection, topic: Topic, partitions: int) -> int:
    """Add partitions to a topic until it has a given number.

    It then waits until Kafka's metadata lists the new partitions, but stops checking after ``RETRY_SECONDS``, without
    an error.

    Parameters
    ----------
    connection
        The connection settings.
    topic
        The topic; it must be ``growable``.
    partitions
        The new number of partitions. If the topic already has that many, nothing changes.

    Returns
    -------
    int
        The previous number of partitions.

    Raises
    ------
    ConfigError
        The topic already has more, isn't growable, or doesn't exist.
    BrokerError
        Kafka can't be reached, or refuses.
    """
    with connected(connection) as admin:
        current = len(_partitions_of(admin, connection, [topic.name])[topic.name])
        require_growable(topic, current, partitions)
        if partitions > current:
            try:
                admin.create_partitions({topic.name: partitions})
            except TopicAuthorizationFailedError:
                raise lacking(connection, f"Alter on topic {topic.name}") from None
            deadline = time.monotonic() + RETRY_SECONDS
            while (
                len(admin.describe_topics([topic.name])[0]["partitions"]) < partitions and time.monotonic() < deadline
            ):
                time.sleep(0.05)
            admin.wait_for_topics([topic.name])
    return current


def require_growable(topic: Topic, current: int, partitions: int) -> None:
    """Raise ConfigError if a topic with `current` partitions can't have `partitions`."""
    if not topic.growable:
        raise ConfigError(
            f"{topic.name} can't get more partitions, because records of one key would be in two of them. "
            f"Set TICKERTAPE_PARTITIONS_{topic.name.replace('-', '_').upper()} before the topic is created"
        )
    if not current:
        raise ConfigError(f"{topic.name} doesn't exist; `tickertape topics create` creates it")
    if partitions < current:
        raise ConfigError(
            f"{topic.name} has {current} partitions, and Kafka can't remove any: ask for {current} or more"
        )


def describe(settings: Settings, topics: Sequence[Topic] = CATALOGUE) -> list[TopicState]:
    """Return the state of each topic on the broker, and how far the pipeline has read it.

    Parameters
    ----------
    settings
        The connection settings, and ``group`` and ``epoch``, which give the consumer group that reads.
    topics
        The topics to describe.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    group = settings.consumer_group
    with connected(settings) as admin:
        existing = _partitions_of(admin, settings, [topic.name for topic in topics])
        parts = [
            TopicPartition(topic.name, number)
            for topic in topics
            for number in sorted(p["partition_index"] for p in existing.get(topic.name, ()))
        ]
        if not parts:
            return [_state(topic, _configs(topic), []) for topic in topics]
        names = sorted({part.topic for part in parts})
        configs = admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, list(_configs(CATALOGUE[0]))) for name in names],
            config_filter="all",
        )["topic"]
        starts = retrying(lambda: admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.EARLIEST)))
        # Commits before ends: in the other order a lag could be negative.
        committed = commits(admin, settings, group)
        ends = retrying(lambda: admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST)))
    states = []
    for topic in topics:
        own_parts = [part for part in parts if part.topic == topic.name]
        # The pipeline reads input topics, even if it has committed nothing yet.
        is_read = topic.is_input or any(part in committed for part in own_parts)
        partitions = [
            _partition(topic, p, starts[p].offset, ends[p].offset, committed.get(p), is_read) for p in own_parts
        ]
        topic_configs = {name: config["value"] for name, config in configs.get(topic.name, {}).items()}
        if partitions and not topic_configs:
            raise lacking(settings, f"DescribeConfigs on topic {topic.name}")
        states.append(_state(topic, topic_configs or _configs(topic), partitions))
    return states


def _partitions_of(
    admin: KafkaAdminClient, connection: Connection, names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Return the partitions of each topic; an empty list for a topic that doesn't exist.

    Raises
    ------
    AccessError
        The right to describe a topic is missing.
    """
    described = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
    for name in names:
        if name in described and described[name]["error_code"] == TopicAuthorizationFailedError.errno:
            raise lacking(connection, f"Describe on topic {name}")
    return {name: topic["partitions"] for name, topic in described.items()}


def _partition(
    topic: Topic, part: TopicPartition, start: int, end: int, commit: OffsetAndMetadata | None, is_read: bool
) -> PartitionState:
    upto, watermark_ms, tallies = None, None, None
    if commit is not None:
        # A commit that was set by hand has no checkpoint, only the next offset.
        upto = commit.offset
        if topic.is_input and (slices := slices_from(checkpoint_in(commit.metadata))):
            upto, tallies = slices.upto, msgspec.structs.asdict(slices.tallies)
            watermark_ms = max((lane.watermark_ms for lane in slices.lanes), default=None)
        elif not topic.is_input and (windows := windows_from(checkpoint_in(commit.metadata))):
            upto = windows.upto
    lag = None
    if is_read:
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

"""Compare existing topics with the catalogue, and set the catalogue's configs: Kafka never changes them itself."""

from collections.abc import Iterable

from kafka.admin import ConfigResource, ConfigResourceType
from msgspec import Struct

from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.client import connected
from tickertape.stream.kafka.admin.topics import TopicState


class Difference(Struct, frozen=True):
    """A config of a topic that differs from the catalogue.

    Attributes
    ----------
    topic, config
        The names of the topic and of the config.
    found, wanted
        The topic's value, and the catalogue's.
    why
        What goes wrong with the value found.
    """

    topic: str
    config: str
    found: str
    wanted: str
    why: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.config} is {self.found} but should be {self.wanted}: {self.why}"


def differences(states: Iterable[TopicState], topics: Iterable[Topic] = CATALOGUE) -> list[Difference]:
    """Return the differences that matter. Longer retention and larger records than declared are no difference."""
    declared = {topic.name: topic for topic in topics}
    return [found for state in states if state.exists for found in _of(state, declared[state.name])]


def _of(state: TopicState, topic: Topic) -> list[Difference]:
    found = []
    if state.append_time != topic.append_time:
        why = (
            "replayed history is past retention at once, and the producers' clocks decide which records are rejected"
            if topic.append_time
            else "records would lose their own timestamps"
        )
        kinds = {True: "LogAppendTime", False: "CreateTime"}
        found.append(("message.timestamp.type", kinds[state.append_time], kinds[topic.append_time], why))
    if set(state.cleanup.split(",")) != set(topic.cleanup.split(",")):
        why = (
            "compaction keeps the last record of a key, but the highest (final, revision) is the valid one"
            if topic.cleanup == "delete"
            else "old records of a key must be deleted, and the last one kept"
        )
        found.append(("cleanup.policy", state.cleanup, topic.cleanup, why))
    if _shorter(state.retention_ms, topic.retention_ms):
        why = "records may be deleted before a worker that was down, or a reader of results, has read them"
        found.append(("retention.ms", str(state.retention_ms), str(topic.retention_ms), why))
    if state.max_record_bytes < topic.max_record_bytes:
        why = "the broker would refuse a large record, and the process that sends it would end"
        found.append(("max.message.bytes", str(state.max_record_bytes), str(topic.max_record_bytes), why))
    return [Difference(topic.name, *one) for one in found]


def _shorter(found_ms: int, wanted_ms: int) -> bool:
    return found_ms >= 0 and (wanted_ms < 0 or found_ms < wanted_ms)


def mend(settings: Settings, found: Iterable[Difference]) -> None:
    """Set the configs that differ to the catalogue's values.

    Raises
    ------
    BrokerError
        Kafka can't be reached, or refuses.
    """
    by_topic: dict[str, dict[str, str]] = {}
    for one in found:
        by_topic.setdefault(one.topic, {})[one.config] = one.wanted
    with connected(settings) as admin:
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in by_topic.items()]
        if resources:
            admin.alter_configs(resources)

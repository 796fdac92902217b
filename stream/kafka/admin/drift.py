"""How topics that exist differ from the catalogue, and how that is mended: Kafka leaves them as they were made."""

from collections.abc import Iterable

from kafka.admin import ConfigResource, ConfigResourceType
from msgspec import Struct

from tickertape.schemas.topics import CATALOGUE, Topic
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.client import connected
from tickertape.stream.kafka.admin.topics import TopicState


class Difference(Struct, frozen=True):
    """One config of a topic that is another than the catalogue's.

    Attributes
    ----------
    topic, config
        Which.
    found, wanted
        Its value, and the catalogue's.
    why
        What goes wrong with it.
    """

    topic: str
    config: str
    found: str
    wanted: str
    why: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.config} is {self.found}, and should be {self.wanted}: {self.why}"


def differences(states: Iterable[TopicState], topics: Iterable[Topic] = CATALOGUE) -> list[Difference]:
    """Return how topics differ from how they are declared. To keep records for longer, or take larger ones, is fine."""
    declared = {topic.name: topic for topic in topics}
    return [found for state in states if state.exists for found in _of(state, declared[state.name])]


def _of(state: TopicState, topic: Topic) -> list[Difference]:
    found = []
    if state.append_time != topic.append_time:
        why = (
            "replayed history is past retention at once, and clocks of producers decide what is rejected"
            if topic.append_time
            else "records would lose the time that they have"
        )
        kinds = {True: "LogAppendTime", False: "CreateTime"}
        found.append(("message.timestamp.type", kinds[state.append_time], kinds[topic.append_time], why))
    if set(state.cleanup.split(",")) != set(topic.cleanup.split(",")):
        why = (
            "compaction keeps the last record of a key, and of a result the highest (final, revision) counts"
            if topic.cleanup == "delete"
            else "old records of a key are to go, and the last one is to stay"
        )
        found.append(("cleanup.policy", state.cleanup, topic.cleanup, why))
    if _shorter(state.retention_ms, topic.retention_ms):
        why = "records are gone before a worker that was away has read them, or a reader the results"
        found.append(("retention.ms", str(state.retention_ms), str(topic.retention_ms), why))
    if state.max_record_bytes < topic.max_record_bytes:
        why = "a large record would be refused, and end who sends it"
        found.append(("max.message.bytes", str(state.max_record_bytes), str(topic.max_record_bytes), why))
    return [Difference(topic.name, *one) for one in found]


def _shorter(found_ms: int, wanted_ms: int) -> bool:
    return found_ms >= 0 and (wanted_ms < 0 or found_ms < wanted_ms)


def mend(settings: Settings, found: Iterable[Difference]) -> None:
    """Give topics the catalogue's configs.

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

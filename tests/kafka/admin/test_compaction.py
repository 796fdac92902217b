"""A final stays on a sink, whatever lands after it: on a broker that compacts, only if the sink isn't compacted."""

import json
import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from msgspec.structs import replace

from tickertape.schemas.topics import BARS, INDICATORS, QUOTE_BARS, ROLLING, SIGNALS, SOCIAL, Topic
from tickertape.stream.chaos.oracle.verdict import Holder
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create

KEY = b"BTC-USD|all|1s|1700000000000"
BAR = {"symbol": "BTC-USD", "source": "all", "resolution": "1s", "start_ms": 1_700_000_000_000}
# Kafka's smallest; a segment that is full is compacted.
SEGMENT_BYTES = 1 << 20


def test_no_sink_is_compacted() -> None:
    assert {t.cleanup for t in (BARS, QUOTE_BARS, ROLLING, INDICATORS, SOCIAL, SIGNALS)} == {"delete"}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_final_outlives_a_zombies_provisional_result(kafka: str, topic: Callable[..., str]) -> None:
    as_ours = replace(BARS, name=topic("bars"), partitions=1, segment_bytes=SEGMENT_BYTES)
    compacted = replace(as_ours, name=topic("bars"), cleanup="compact,delete")
    create(Settings(kafka), [as_ours, compacted])
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        at_once = {"min.cleanable.dirty.ratio": "0"}
        admin.alter_configs([ConfigResource("topic", t.name, at_once) for t in (as_ours, compacted)])
    for each in (as_ours, compacted):
        publish(kafka, each)
        assert held(kafka, each) == (True, 9)
    # The broker's cleaner comes by every 15 s. Who comes after it is told of the provisional result alone.
    until = time.monotonic() + 120
    while held(kafka, compacted) == (True, 9):
        assert time.monotonic() < until
        time.sleep(1)
    assert held(kafka, compacted) == (False, 7)
    assert held(kafka, as_ours) == (True, 9)


def publish(broker: str, sink: Topic) -> None:
    """Publish a final, a zombie's provisional result after it, and others until the segment is full."""
    producer = KafkaProducer(bootstrap_servers=broker)
    for final, revision in ((True, 9), (False, 7)):
        producer.send(sink.name, json.dumps(BAR | {"final": final, "revision": revision}).encode(), key=KEY)
    filling = json.dumps(BAR | {"symbol": "X", "final": True, "revision": 1, "filling": "x" * 100_000}).encode()
    for number in range(3 * SEGMENT_BYTES // len(filling)):
        producer.send(sink.name, filling, key=str(number).encode())
    producer.flush()
    producer.close()


def held(broker: str, sink: Topic) -> tuple[bool, int]:
    """Return whether the bar is final for a reader that begins now, and how many events it has."""
    holder, part = Holder(), TopicPartition(sink.name, 0)
    consumer = KafkaConsumer(bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=10_000)
    consumer.assign([part])
    consumer.seek_to_beginning(part)
    end = consumer.end_offsets([part])[part]
    for record in consumer:
        holder.add(record.key, record.value)
        if record.offset == end - 1:
            break
    consumer.close()
    bar = holder.held.bars["BTC-USD", "all", "1s", 1_700_000_000_000]
    return bar["final"], bar["revision"]

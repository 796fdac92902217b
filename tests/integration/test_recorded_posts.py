"""Real recorded tweets, through a real Kafka, are what Polars counts; and a replay of the topic says the same."""

import subprocess
import sys

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.agents.social.test_recorded_posts import BURST_MS, HOUR_MS, assert_equal_polars, polars_counts
from tests.integration import recorded_posts
from tests.integration.running import finals, read, running, tallies, until
from tickertape.agents.social.chatter import CHATTER, Chatter
from tickertape.agents.social.mentions import Mentions
from tickertape.schemas.topics import INDICATORS, POSTS, SOCIAL

pytestmark = [pytest.mark.kafka, *recorded_posts.needed]


def command(broker: str, *words: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "tickertape", "--broker", broker, *words)
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=120)


def written(broker: str, topic: str) -> int:
    """Return how many records there are on a topic."""
    consumer = KafkaConsumer(bootstrap_servers=broker)
    ends = consumer.end_offsets([TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()])
    consumer.close()
    return sum(ends.values())


def test_tweets_through_two_workers_equal_polars(own_kafka: str) -> None:
    with running(own_kafka, workers=2) as (settings, _):
        fed = command(
            own_kafka, "feed", "file", "--format", "twitter", "--sort", "--speed", "max", str(recorded_posts.TWEETS)
        )
        assert (fed.returncode, "6,891 posts" in fed.stderr) == (0, True), fed.stderr
        # They come in order of time, nearly each of them final at once: reading them all again and again takes long.
        expected = 2 * sum(len(polars_counts(width_ms)) for width_ms in CHATTER.resolutions.values())
        until("all windows are there", lambda: written(own_kafka, SOCIAL.name) >= expected)
        held = finals(settings, POSTS, SOCIAL.name, Chatter)
        assert_equal_polars({(one.symbol, one.source, one.resolution, one.start_ms): one for one in held.values()})
        told = tallies(settings, POSTS)
        assert [told[name] for name in ("counted", "repeated", "unmatched", "late")] == [4397, 2470, 24, 0]

        burst = f"|twitter|1h|{BURST_MS + 5 * HOUR_MS}|mentions".encode()
        found: dict[bytes, Mentions] = {}

        def has_burst() -> bool:
            for key, value in read(own_kafka, INDICATORS.name):
                if key.endswith(burst):
                    found[key.partition(b"|")[0]] = msgspec.json.decode(value, type=Mentions)
            return found.keys() >= {b"FB", b"GOOG", b"AMZN"}

        until("the burst is found", has_burst)
        assert min(found[name].z_score for name in (b"FB", b"GOOG", b"AMZN")) > 15

        verified = command(own_kafka, "verify", "--topic", POSTS.name)
        assert verified.returncode == 0, verified.stderr
        assert f"{len(held):,} social agree\n" in verified.stdout

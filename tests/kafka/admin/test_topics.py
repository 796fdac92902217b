import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from kafka.structs import OffsetAndMetadata
from msgspec.structs import replace

from tickertape.schemas.checkpoint import SliceCheckpoint, Views, WindowCheckpoint, to_metadata
from tickertape.schemas.frame import Lane, Tallies
from tickertape.schemas.topics import BARS, SLICES, TRADES, Topic
from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin import drift
from tickertape.stream.kafka.admin.topics import PartitionState, add_partitions, create, describe
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = pytest.mark.kafka

Named = Callable[[Topic], Topic]


@pytest.fixture
def named(topic: Callable[..., str]) -> Named:
    """A topic like the one given, under a name of this test's own."""
    return lambda like: replace(like, name=topic(like.name))


def send(broker: str, topic: str, partition: int, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    for _ in range(count):
        producer.send(topic, b"x", key=b"k", partition=partition)
    producer.flush()
    producer.close()


def commit(broker: str, group: str, topic: str, partition: int, offset: int, metadata: str) -> None:
    with KafkaAdminClient(bootstrap_servers=broker) as admin:
        admin.alter_group_offsets(group, {TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata, -1)})


def test_create_is_as_the_catalogue_and_the_settings_say(kafka: str, named: Named) -> None:
    trades, bars = named(TRADES), named(BARS)
    settings = Settings(kafka, partitions={trades.name: 3})
    assert create(settings, [trades, bars]) == [trades.name, bars.name]
    with KafkaAdminClient(bootstrap_servers=kafka) as admin:
        there = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([trades.name, bars.name])}
        wanted = ["retention.ms", "cleanup.policy", "max.message.bytes", "message.timestamp.type", "segment.bytes"]
        found = admin.describe_configs([ConfigResource("topic", t.name, wanted) for t in (trades, bars)])["topic"]
    assert there == {trades.name: 3, bars.name: 4}
    assert {name: config["value"] for name, config in found[trades.name].items()} == {
        "retention.ms": "86400000",
        "cleanup.policy": "delete",
        "max.message.bytes": "16777216",
        "message.timestamp.type": "LogAppendTime",
        "segment.bytes": str(1 << 30),
    }
    assert found[bars.name]["cleanup.policy"]["value"] == "delete"
    assert found[bars.name]["retention.ms"]["value"] == "86400000"
    assert found[bars.name]["segment.bytes"]["value"] == str(1 << 30)


def test_create_leaves_what_exists_as_it_is(kafka: str, named: Named) -> None:
    trades, bars = named(TRADES), named(BARS)
    create(Settings(kafka, partitions={trades.name: 2}), [trades])
    assert create(Settings(kafka, partitions={trades.name: 5}), [trades, bars]) == [bars.name]
    assert create(Settings(kafka), [trades, bars]) == []
    assert len(describe(Settings(kafka), [trades])[0].partitions) == 2


def test_create_refuses_partitions_of_a_topic_that_there_is_not(kafka: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^setting `partitions` names an unknown topic: trade; the topics are .*dead-letters.*trades"
    ):
        create(Settings(kafka, partitions={"trade": 2}))


def test_create_says_what_kafka_refuses(kafka: str) -> None:
    with pytest.raises(BrokerError, match=r"won't create no!: Topic name is invalid"):
        create(Settings(kafka), [replace(TRADES, name="no!")])


def test_describe_says_how_far_each_partition_is_read(kafka: str, named: Named, topic: Callable[..., str]) -> None:
    trades, slices, bars = named(TRADES), named(SLICES), named(BARS)
    settings = Settings(
        kafka, group=topic("group"), slice_ms=500, partitions={trades.name: 3, slices.name: 2, bars.name: 1}
    )
    group = f"{settings.group}-500-5000"
    create(settings, [trades, slices, bars])
    send(kafka, trades.name, 0, 9)
    send(kafka, trades.name, 1, 2)
    send(kafka, trades.name, 2, 4)
    send(kafka, slices.name, 1, 5)
    send(kafka, bars.name, 0, 1)
    tallies = Tallies(counted=5, late=1, heartbeats=1)
    counts = {
        "counted": 5,
        "late": 1,
        "rejected": 0,
        "repeated": 0,
        "unmatched": 0,
        "heartbeats": 1,
        "empty": 0,
        "lost": 0,
        "bundles": 0,
        "bundled": 0,
    }
    commit(
        kafka, group, trades.name, 0, 3, to_metadata(SliceCheckpoint(7, 0, [Lane("a", 9, 1), Lane("b", 8, 3)], tallies))
    )
    # By hand, with Kafka's own tools.
    commit(kafka, group, trades.name, 2, 1, "")
    commit(kafka, group, slices.name, 1, 1, to_metadata(WindowCheckpoint(4, {"trades": Views(1, {"all": 60_000})})))

    found = describe(settings, [trades, slices, bars, replace(BARS, name="never-made")])
    state = {topic.holds: topic for topic in found}
    assert [t.name for t in found] == [trades.name, slices.name, bars.name, "never-made"]
    assert [t.exists for t in found] == [True, True, True, False]
    assert [t.lag for t in found] == [7, 1, None, None]
    assert found[0].partitions == [
        PartitionState(partition=0, start=0, end=9, committed=3, upto=7, lag=2, watermark_ms=9, tallies=counts),
        PartitionState(partition=1, start=0, end=2, committed=None, upto=None, lag=2, tallies=None),
        PartitionState(partition=2, start=0, end=4, committed=1, upto=1, lag=3, tallies=None),
    ]
    assert found[1].partitions == [
        PartitionState(partition=0, start=0, end=0, committed=None, upto=None, lag=0, tallies=None),
        PartitionState(partition=1, start=0, end=5, committed=1, upto=4, lag=1, tallies=None),
    ]
    assert found[2].partitions == [
        PartitionState(partition=0, start=0, end=1, committed=None, upto=None, lag=None, tallies=None)
    ]
    assert (found[2].retention_ms, found[2].cleanup, found[2].append_time) == (86_400_000, "delete", True)
    assert found[3].partitions == []
    bar = state["a bar, as JSON; per key, the highest (final, revision) is valid"]
    assert bar.key == "symbol, source, resolution, start"


def test_another_epoch_has_read_nothing(kafka: str, named: Named, topic: Callable[..., str]) -> None:
    trades, settings = named(TRADES), Settings(kafka, group=topic("group"))
    create(settings, [trades])
    send(kafka, trades.name, 0, 3)
    commit(kafka, f"{settings.group}-1000-5000", trades.name, 0, 3, to_metadata(SliceCheckpoint(3, 0)))
    assert describe(settings, [trades])[0].lag == 0
    assert describe(replace(settings, slice_ms=2000), [trades])[0].lag == 3


def test_add_partitions(kafka: str, named: Named) -> None:
    trades = named(TRADES)
    create(Settings(kafka, partitions={trades.name: 2}), [trades])
    assert add_partitions(Connection(kafka), trades, 4) == 2
    assert len(describe(Settings(kafka), [trades])[0].partitions) == 4
    assert add_partitions(Connection(kafka), trades, 4) == 4
    with pytest.raises(ConfigError) as caught:
        add_partitions(Connection(kafka), trades, 3)
    assert str(caught.value) == f"{trades.name} has 4 partitions, and Kafka can't remove any: ask for 4 or more"


def test_add_partitions_refuses_what_is_not_there_or_not_growable(kafka: str) -> None:
    with pytest.raises(ConfigError, match=r"^never-made doesn't exist; `tickertape topics create` creates it$"):
        add_partitions(Connection(kafka), replace(TRADES, name="never-made"), 3)
    with pytest.raises(ConfigError, match=r"^slices can't get more .* TICKERTAPE_PARTITIONS_SLICES before"):
        add_partitions(Connection(kafka), SLICES, 32)


def test_no_kafka_there() -> None:
    with pytest.raises(BrokerError) as caught:
        describe(Settings("127.0.0.1:9"))
    assert str(caught.value) == (
        "no Kafka answers at 127.0.0.1:9: start it (`tickertape kafka` runs one), or set TICKERTAPE_BROKER to another"
    )


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"^broker 'here:there': .* expected host:port, or several"):
        describe(Settings("here:there"))


@pytest.fixture(scope="module")
def own() -> Iterator[str]:
    """A broker of this module's own: commands use the catalogue's names."""
    with EmbeddedKafka() as embedded:
        yield embedded.broker


def tickertape(broker: str, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["--broker", broker, *arguments], env={"COLUMNS": "120"}, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


RESULTS = ("bars", "quote-bars", "rolling", "indicators", "social", "signals")


def test_the_commands(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKERTAPE_PARTITIONS_TRADES", "2")
    monkeypatch.setenv("TICKERTAPE_PARTITIONS_SLICES", "3")
    row = [cell.strip() for cell in next(x for x in tickertape(own, "topics").splitlines() if "bars" in x).split("│")]
    assert row == ["", "bars", "none yet", "1 d", "delete", "symbol, source, resolution, start", "-", ""]
    assert tickertape(own, "topics", "create").splitlines() == [
        "trades: 2 partitions, new",
        "quotes: 4 partitions, new",
        "books: 4 partitions, new",
        "posts: 4 partitions, new",
        "perpetuals: 1 partitions, new",
        "liquidations: 1 partitions, new",
        "slices: 3 partitions, new",
        *(f"{name}: 4 partitions, new" for name in RESULTS),
        "late: 1 partitions, new",
        "dead-letters: 1 partitions, new",
        "window-state: 8 partitions, new",
        "commit-state: 1 partitions, new",
        "alerts: 1 partitions, new",
        "control: 1 partitions, new",
        "instruments: 1 partitions, new",
    ]
    assert tickertape(own, "topics", "create").splitlines()[0] == "trades: 2 partitions"

    send(own, "trades", 1, 1200)
    tallies = Tallies(counted=1000, rejected=34)
    commit(own, "tickertape-1000-5000", "trades", 1, 1000, to_metadata(SliceCheckpoint(1034, 0, [], tallies)))
    row = [x.strip() for x in next(x for x in tickertape(own, "topics").splitlines() if "trades" in x).split("│")]
    assert row == ["", "trades", "2", "1 d", "delete", "symbol", "166", ""]
    shown = [
        [x.strip() for x in y.replace("┃", "│").split("│")]
        for y in tickertape(own, "topics", "show", "trades").splitlines()
    ]
    # The table is as wide as its columns.
    assert shown[:2] == [["trades: a trade, normalised, as JSON; or a bundle of them; or a"], ["heartbeat"]]
    assert shown[3] == ["", "partition", "start", "end", "upto", "lag", "counted", "rejected", ""]
    assert shown[5] == ["", "0", "0", "0", "-", "0", "-", "-", ""]
    assert shown[6] == ["", "1", "0", "1,200", "1,034", "166", "1,000", "34", ""]

    found = json.loads(tickertape(own, "topics", "show", "trades", "--json"))
    assert found["partitions"][1] == {
        "partition": 1,
        "start": 0,
        "end": 1200,
        "committed": 1000,
        "upto": 1034,
        "lag": 166,
        "watermark_ms": None,
        "tallies": {
            "counted": 1000,
            "late": 0,
            "rejected": 34,
            "repeated": 0,
            "unmatched": 0,
            "heartbeats": 0,
            "empty": 0,
            "lost": 0,
            "bundles": 0,
            "bundled": 0,
        },
    }
    listed = json.loads(tickertape(own, "topics", "--json"))
    assert [(x["name"], len(x["partitions"])) for x in listed] == [
        ("trades", 2),
        ("quotes", 4),
        ("books", 4),
        ("posts", 4),
        ("perpetuals", 1),
        ("liquidations", 1),
        ("slices", 3),
        *((name, 4) for name in RESULTS),
        ("late", 1),
        ("dead-letters", 1),
        ("window-state", 8),
        ("commit-state", 1),
        ("alerts", 1),
        ("control", 1),
        ("instruments", 1),
    ]


def test_the_command_says_in_a_line_that_no_kafka_is_there() -> None:
    command = [sys.executable, "-m", "tickertape", "--broker", "127.0.0.1:9", "topics"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TICKERTAPE_")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "tickertape: no Kafka answers at 127.0.0.1:9: start it (`tickertape kafka` runs one), "
        "or set TICKERTAPE_BROKER to another"
    ]


def test_show_names_the_topics_that_there_are() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^unknown topic nope; the topics are trades, quotes, books, posts, perp.*, slices, .*, instruments$",
    ):
        CliRunner().invoke(cli, ["topics", "show", "nope"], catch_exceptions=False)


def test_topics_that_differ_are_told_of_and_mended(kafka: str, named: Named) -> None:
    made = named(BARS)
    settings = Settings(kafka)
    # As it was made before, and by hand.
    old = replace(made, cleanup="compact,delete", retention_ms=60_000, append_time=False, max_record_bytes=1000)
    create(settings, [old])
    found = drift.differences(describe(settings, [made]), [made])
    assert [(one.config, one.found, one.wanted) for one in found] == [
        ("message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("cleanup.policy", "compact,delete", "delete"),
        ("retention.ms", "60000", str(BARS.retention_ms)),
        ("max.message.bytes", "1000", str(BARS.max_record_bytes)),
    ]
    drift.mend(settings, found)
    assert drift.differences(describe(settings, [made]), [made]) == []


def test_what_is_kept_for_longer_is_fine(kafka: str, named: Named) -> None:
    made = named(BARS)
    create(Settings(kafka), [replace(made, retention_ms=-1, max_record_bytes=BARS.max_record_bytes + 1)])
    assert drift.differences(describe(Settings(kafka), [made]), [made]) == []

"""``tickertape tail`` on a real Kafka."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import msgspec
import pytest
from click.testing import CliRunner, Result

from tickertape.schemas.topics import TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.command_line.cli import cli
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.kafka.admin.topics import add_partitions
from tickertape.stream.kafka.clients.producer import Producer

pytestmark = pytest.mark.kafka

ALL = ("--from-beginning", "--until-caught-up")
COMMAND = [sys.executable, "-m", "tickertape", "tail"]


def run(broker: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--broker", broker, "tail", *arguments])


def tail(broker: str, *arguments: str) -> list[str]:
    ended = run(broker, *arguments, *ALL)
    assert ended.exception is None, ended.exception
    return ended.output.splitlines()


def tail_json(broker: str, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in tail(broker, "--json", *arguments)]


def test_json_is_an_object_a_line(filled: str) -> None:
    records = tail_json(filled, "trades")
    trades = [msgspec.convert(record, Trade) for record in records if "symbol" in record]
    assert sorted((trade.symbol, trade.id) for trade in trades) == [
        *(("BTC-USD", number) for number in range(3)),
        ("ETH-USD", 9),
    ]
    assert {"heartbeat": {"source": "x", "time_ms": 1_700_000_000_000}} in records
    assert {"raw": "\\xff not JSON", "topic": "trades", "partition": 2, "offset": 0} in records
    assert len(records) == 6


def test_a_symbol_alone(filled: str) -> None:
    assert {record["id"] for record in tail_json(filled, "trades", "--symbol", "BTC-USD")} == {0, 1, 2}


def test_the_events_of_a_bundle_are_shown_one_by_one(filled: str) -> None:
    *events, broken = tail_json(filled, "quotes")
    assert [(event["symbol"], event["id"], event["bid"]) for event in events] == [
        ("BTC-USD", 1, 60_000.5),
        ("ETH-USD", 2, 60_000.5),
        ("BTC-USD", 3, 60_000.5),
    ]
    assert (broken["topic"], broken["offset"], "raw" in broken) == ("quotes", 1, True)
    assert [event["id"] for event in tail_json(filled, "quotes", "--symbol", "BTC-USD")] == [1, 3]


def test_finals_alone(filled: str) -> None:
    bars = tail_json(filled, "bars", "--finals")
    assert {(bar["symbol"], bar["final"]) for bar in bars} == {("BTC-USD", True), ("ETH-USD", True)}
    assert len(tail_json(filled, "bars", "--finals", "--symbol", "BTC-USD")) == 1


def test_frames_come_as_columns(filled: str) -> None:
    # Both are in one record.
    frame, empty = tail_json(filled, "slices")
    assert (frame["partition"], frame["upto"]) == (2, 42)
    assert frame["lanes"] == [
        {
            "source": "x",
            "watermark_ms": 1_700_000_003_000,
            "frontier_ms": 1_700_000_001_000,
            "idle": False,
            "ended": False,
        }
    ]
    assert frame["columns"] == {
        "source": ["x", "x"],
        "symbol": ["BTC-USD", "ETH-USD"],
        "slice_ms": [1_700_000_000_000] * 2,
        "count": [3, 4],
        "volume": [0.5, 1.5],
    }
    assert (empty["partition"], empty["upto"]) == (3, 7)
    assert empty["columns"] == {"slice_ms": [], "source": [], "symbol": []}
    (frame,) = tail_json(filled, "slices", "--symbol", "ETH-USD")
    assert frame["columns"]["count"] == [4]  # type: ignore[index]  # it is a dict
    assert not tail_json(filled, "slices", "--symbol", "nothing")


def test_people_get_aligned_columns(filled: str) -> None:
    heading, *rows = tail(filled, "bars", "--symbol", "BTC-USD")
    names = "start symbol source resolution open high low close volume count final"
    assert " ".join(heading.split()) == names
    assert rows[0].split()[:4] == ["2023-11-14", "22:13:20", "BTC-USD", "x"]
    assert {row.split()[-1] for row in rows} == {"final", "open"}
    assert len({row.index("1.75") for row in rows}) == 1


@pytest.mark.parametrize(
    ("topic", "shown"),
    [
        ("trades", "heartbeat"),
        ("slices", "x to 2023-11-14 22:13:21"),
        ("late", "BTC-USD"),
        ("dead-letters", "\\xffgarbage\\nxxx"),
        ("window-state", "6 bytes"),
    ],
)
def test_every_topic_can_be_read_by_people(filled: str, topic: str, shown: str) -> None:
    assert any(shown in line for line in tail(filled, topic))


def test_without_from_beginning_only_what_comes(filled: str) -> None:
    assert run(filled, "trades", "--until-caught-up").output == ""


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("nothing",), ConfigError, "the topics are trades, quotes, books, posts"),
        (("trades", "--finals", *ALL), ConfigError, "neither open nor final"),
        (("dead-letters", "--symbol", "x", *ALL), ConfigError, "no symbol"),
    ],
)
def test_what_cannot_be(filled: str, arguments: tuple[str, ...], error: type[Exception], said: str) -> None:
    ended = run(filled, *arguments)
    assert isinstance(ended.exception, error)
    assert said in str(ended.exception)


def test_no_broker_and_no_topic(kafka: str) -> None:
    assert isinstance(run("", "trades").exception, ConfigError)
    gone = run("127.0.0.1:9", "trades").exception
    assert isinstance(gone, BrokerError)
    assert "no Kafka answers at 127.0.0.1:9" in str(gone)
    missing = run(kafka, "dead-letters").exception
    assert isinstance(missing, BrokerError)
    assert "run `tickertape topics create`" in str(missing)


def test_ctrl_c_is_quiet(filled: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, "trades", "--json", "--from-beginning"],
        env={**os.environ, "TICKERTAPE_BROKER": filled},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert said.strip() == ""
    assert process.returncode == 130


def test_head_is_quiet(filled: str) -> None:
    process = subprocess.Popen(
        [*COMMAND, "trades", "--json", "--from-beginning"],
        env={**os.environ, "TICKERTAPE_BROKER": filled},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    send(filled, TRADES.name, 0, b"{}")
    assert process.stderr.read() == ""
    process.wait(20)


# Last: it changes the topic.
def test_partitions_that_are_added_are_read_too(filled: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "trades", "--json"],
        env={**os.environ, "TICKERTAPE_BROKER": filled},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        # By the first of these that is seen it reads.
        line = ""
        number = 0
        os.set_blocking(process.stdout.fileno(), False)
        while not line:
            send(filled, TRADES.name, 0, b'{"before": %d}' % (number := number + 1))
            line = process.stdout.readline()
        os.set_blocking(process.stdout.fileno(), True)
        add_partitions(Connection(filled), TRADES, TRADES.partitions + 1)
        send(filled, TRADES.name, TRADES.partitions, b'{"after": 1}')
        while "after" not in line:
            line = process.stdout.readline()
            assert line
        process.terminate()


def send(broker: str, topic: str, partition: int, value: bytes) -> None:
    async def one() -> None:
        async with Producer(Connection(broker)) as producer:
            producer.send(topic, partition, b"", value)

    asyncio.run(one())

"""Workers as processes on a real Kafka: started, killed, told to stop, and left behind."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition
from msgspec.structs import replace

from tickertape.schemas.topics import BARS, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.cluster import commands as worker_commands
from tickertape.stream.cluster.slot import back_off_seconds, reason
from tickertape.stream.cluster.supervisor import Supervisor
from tickertape.stream.cluster.worker import one_name
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings, load
from tickertape.stream.errors import BrokerError, ConfigError
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.admin import members, topics
from tickertape.stream.kafka.admin.topics import TopicState
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

COMMAND = [sys.executable, "-m", "tickertape"]
# A worker drains within ten; a busy machine may look later.
STOPPED_SECONDS = 12.0
T0 = 1_700_000_000_000


def test_back_off_is_none_at_first_then_doubles_to_30_s() -> None:
    assert [back_off_seconds(n) for n in range(5)] == [0, 0.5, 1, 2, 4]
    assert back_off_seconds(9) == back_off_seconds(100) == 30


def test_a_process_s_end_in_words() -> None:
    assert reason(-9) == "killed by SIGKILL"
    assert reason(1) == "ended with exit status 1"


def test_workers_get_the_supervisor_s_settings() -> None:
    settings = Settings(
        broker="a:1,b:2", agents=["x", "y.z"], lateness_ms={"dead-letters": 7, "trades": 9}, fill=True, skew_ms=3
    )
    found = environment(settings)
    assert found.items() >= {("TICKERTAPE_LATENESS_MS_DEAD_LETTERS", "7"), ("TICKERTAPE_AGENTS", "x,y.z")}
    assert load({name: text for name, text in found.items() if name.startswith("TICKERTAPE_")}) == settings


@pytest.fixture(scope="module")
def bare() -> Iterator[str]:
    """A broker without topics."""
    with EmbeddedKafka() as kafka:
        yield kafka.broker


@pytest.fixture
def settings(bare: str, topic: Callable[..., str]) -> Settings:
    """The topics are there, and the group is the test's own."""
    topics.create(Settings(bare))
    return Settings(broker=bare, group=topic("workers"), metrics_port=-1)


def until(what: str, true: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env={**os.environ, **environ}, capture_output=True, text=True, timeout=60, check=False
    )


def shared(settings: Settings, workers: int) -> bool:
    group = members.describe(settings)
    return group.stable and len(group.owned) == workers and all(group.owned.values())


def feed(broker: str, count: int) -> None:
    async def one() -> None:
        async def batches() -> AsyncIterator[list[Trade]]:
            yield [
                Trade(symbol="BTC-USD", source="x", id=n, time_ms=T0 + n, price=1.0, quantity=1.0, side="buy")
                for n in range(count)
            ]

        async with Producer(Connection(broker)) as producer:
            await Publisher(producer).feed(batches(), close=False)

    asyncio.run(one())


def bars_end(broker: str) -> int:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    parts = [TopicPartition(BARS.name, n) for n in consumer.partitions_for_topic(BARS.name) or ()]
    ends = consumer.end_offsets(parts)
    consumer.close()
    return sum(ends.values())


# First, while there are no topics.
@pytest.mark.kafka
@pytest.mark.parametrize("command", [["worker"], ["up", "--workers", "1"]])
def test_missing_topics_are_one_line(bare: str, command: list[str]) -> None:
    ended = run(*command, TICKERTAPE_BROKER=bare)
    assert ended.returncode == 4
    (line,) = ended.stderr.splitlines()
    assert "topic trades" in line
    assert "run `tickertape topics create`" in line


@pytest.mark.kafka
def test_records_that_were_damaged_on_the_broker_s_disk_are_not_counted(tmp_path: Path) -> None:
    with EmbeddedKafka(tmp_path) as kafka:
        topics.create(Settings(kafka.broker, partitions={"trades": 1}))
        feed(kafka.broker, 10)
        (log,) = tmp_path.glob("**/trades-0/*.log")
        with log.open("r+b") as file:
            file.seek(file.read().index(b'"price":1.0') + len(b'"price":'))
            file.write(b"7")
        ended = run("worker", TICKERTAPE_BROKER=kafka.broker, TICKERTAPE_METRICS_PORT="-1")
        assert bars_end(kafka.broker) == 0
    assert ended.returncode == 4
    last = ended.stderr.splitlines()[-1]
    assert "trades, partition 0: the record batch that holds offset" in last
    assert "kafka-delete-records" in last


@pytest.mark.parametrize("command", [["worker"], ["up"]])
def test_a_broker_that_is_not_there_is_one_line(command: list[str]) -> None:
    ended = run(*command, TICKERTAPE_BROKER="127.0.0.1:9")
    assert ended.returncode == 4
    (line,) = ended.stderr.splitlines()
    assert "127.0.0.1:9" in line


def test_a_worker_needs_a_broker() -> None:
    ended = run("worker", TICKERTAPE_BROKER="")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "TICKERTAPE_BROKER" in line


@pytest.mark.kafka
def test_a_killed_worker_takes_back_its_partitions(settings: Settings) -> None:
    said: list[str] = []
    with Supervisor(settings, 2, said.append) as supervisor:
        until("two workers share the partitions", lambda: shared(settings, 2))
        owned, pids = members.describe(settings).owned, supervisor.pids
        ups = sum("is up" in line for line in said)
        supervisor.kill(0)
        until("it is up again", lambda: sum("is up" in line for line in said) > ups)
        assert supervisor.restarts == 1
        assert supervisor.pids[0] != pids[0]
        assert supervisor.pids[1] == pids[1]
        # A static member: nothing has moved.
        assert members.describe(settings).owned == owned
    assert "worker-0 | killed by SIGKILL; it is started again now" in said
    assert not any(psutil.pid_exists(pid) for pid in (*pids.values(), *supervisor.pids.values()))


@pytest.mark.kafka
def test_scaling_down_gives_the_partitions_to_the_others(settings: Settings) -> None:
    # Were it not removed from the group, the others would wait for this.
    settings = replace(settings, session_seconds=30.0)
    with Supervisor(settings, 2, print) as supervisor:
        until("two workers share the partitions", lambda: shared(settings, 2))
        supervisor.scale(1)
        assert supervisor.slots == [0]
        until("one owns all", lambda: shared(settings, 1), seconds=20)
        (owned,) = members.describe(settings).owned.values()
        assert len(owned[TRADES.name]) == TRADES.partitions


@pytest.mark.kafka
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_commits(settings: Settings, number: signal.Signals, tmp_path: Path) -> None:
    # Nothing is committed but at the end.
    environ = environment(replace(settings, commit_seconds=600.0)) | {"TMPDIR": str(tmp_path)}
    before = bars_end(settings.broker)
    worker = subprocess.Popen([*COMMAND, "worker", "--slot", "a"], env=environ, stderr=subprocess.PIPE, text=True)
    feed(settings.broker, 1000)
    until("there are bars", lambda: bars_end(settings.broker) > before)
    assert all(state.upto is None for state in topics.describe(settings, [TRADES])[0].partitions)
    began = time.monotonic()
    worker.send_signal(number)
    _, said = worker.communicate(timeout=STOPPED_SECONDS)
    assert worker.returncode == 0, said
    assert time.monotonic() - began < 10
    assert "Traceback" not in said
    assert topics.describe(settings, [TRADES])[0].lag == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.kafka
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_supervisor(settings: Settings, number: signal.Signals, code: int) -> None:
    supervisor = subprocess.Popen(
        [*COMMAND, "up", "--workers", "2"], env=environment(settings), stderr=subprocess.PIPE, text=True
    )
    assert supervisor.stderr is not None
    said: list[str] = []
    up = re.compile(r"(worker-\d) \| .*is up")
    while {found[1] for line in said if (found := up.match(line))} != {"worker-0", "worker-1"}:
        said.append(supervisor.stderr.readline())
        assert said[-1], said
    # The workers, and the page, which starts after them.
    children = psutil.Process(supervisor.pid).children
    until("the page runs too", lambda: len(children(recursive=True)) == 3)
    processes = children(recursive=True)
    supervisor.send_signal(number)
    supervisor.communicate(timeout=STOPPED_SECONDS)
    assert supervisor.returncode == code
    _, alive = psutil.wait_procs(processes, timeout=STOPPED_SECONDS)
    assert not alive


@pytest.mark.kafka
def test_what_a_restart_does_not_mend_is_not_restarted(settings: Settings) -> None:
    said: list[str] = []
    with Supervisor(replace(settings, agents=["no_such_package"]), 1, said.append) as supervisor:
        with pytest.raises(ConfigError):
            supervisor.wait()
        assert supervisor.restarts == 0
        assert supervisor.pids == {}
    assert "no_such_package" in said[0]


FAILING = """
from tickertape.stream.command_line.cli import main
from tickertape.stream.engine.slices.agent import SlicingAgent

def fail(agent, block):
    raise ZeroDivisionError("a bug")

SlicingAgent.receive = fail
"""
# Blocks come before the start has ended, as on a machine that is busy.
SLOW = """
import asyncio
from tickertape.stream.engine.worker.pipeline import Pipeline

async def wait(self):
    await asyncio.sleep(3)

Pipeline.on_started = wait
"""


@pytest.mark.kafka
@pytest.mark.parametrize("start", ["", SLOW], ids=["started", "starting"])
def test_a_crash_is_reported_and_commits_nothing(settings: Settings, start: str) -> None:
    feed(settings.broker, 10)
    ended = subprocess.run(
        [sys.executable, "-c", FAILING + start + "main()", "worker"],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "ZeroDivisionError: a bug" in ended.stderr
    assert "Event loop is closed" not in ended.stderr
    (state,) = topics.describe(settings, [TRADES])
    assert all(not part.upto for part in state.partitions)


@pytest.mark.kafka
def test_two_workers_of_one_name_do_not_fence_each_other(settings: Settings) -> None:
    with Supervisor(settings, 1, print) as supervisor:
        until("it owns all", lambda: shared(settings, 1))
        second = run("worker", "--slot", supervisor.name(0), **environment(settings))
        assert second.returncode == ConfigError.exit_code
        # It has waited for as long as a session, and some seconds.
        assert f"another worker has the slot {supervisor.name(0)}: waiting up to 13 s for its end" in second.stderr
        assert (
            f"a worker {supervisor.name(0)} of group {settings.group} still runs on this machine after 13 s"
            in second.stderr
        )
        assert supervisor.restarts == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("localhost:9092", "127.0.0.1:9092"),
        ("[::1]:9092", "localhost:9092"),
        ("b:1, a:2", "a:2,b:1"),
    ],
)
def test_a_broker_has_one_name(one: str, other: str) -> None:
    assert one_name(one) == one_name(other)


def test_brokers_at_two_ports_are_two() -> None:
    assert one_name("localhost:9092") != one_name("localhost:9093")


@pytest.mark.kafka
def test_a_slot_whose_worker_is_frozen_is_waited_for(settings: Settings) -> None:
    command = [sys.executable, "-m", "tickertape", "worker", "--slot", "frozen"]
    with subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        assert first.stdout is not None
        until_line(first.stdout, "worker frozen is up")
        first.send_signal(signal.SIGSTOP)
        with subprocess.Popen(
            command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as second:
            assert second.stdout is not None
            until_line(second.stdout, "another worker has the slot frozen: waiting up to")
            first.kill()
            until_line(second.stdout, "worker frozen is up")
            second.terminate()


def until_line(lines: Iterable[str], text: str) -> None:
    assert any(text in line for line in lines), f"it never said {text!r}"


def test_up_waits_for_a_broker_that_takes_connections_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = Settings(broker=f"127.0.0.1:{silent.getsockname()[1]}")
        tries: list[int] = []

        def describe(_: Settings, __: object) -> list[TopicState]:
            tries.append(1)
            if len(tries) < 3:
                raise BrokerError("no Kafka answers")
            return []

        monkeypatch.setattr("tickertape.stream.kafka.admin.topics.describe", describe)
        assert worker_commands._described(settings) == []
        assert len(tries) == 3
    # Where nothing listens nobody is waited for.
    tries.clear()
    with pytest.raises(BrokerError, match="no Kafka answers"):
        worker_commands._described(settings)
    assert len(tries) == 1


@pytest.mark.kafka
@pytest.mark.slow
def test_workers_that_compute_something_else_do_not_share_a_group(settings: Settings) -> None:
    said: list[str] = []
    fewer = replace(settings, agents=["tickertape.agents.market"], session_seconds=6.0)
    with Supervisor(replace(settings, session_seconds=6.0), 1, print) as supervisor:
        until("it is in the group", lambda: members.describe(settings).owned)
        done = subprocess.run(
            [*COMMAND, "worker", "--slot", "other"],
            env=environment(fewer),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert supervisor.restarts == 0
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "compute something else than this one would: set the same `agents` for all of them, or another" in line
    # Once they are gone it is let in.
    with Supervisor(fewer, 1, said.append):
        until("it is in the group", lambda: members.describe(settings).owned)
    assert said == []

"""A real Prometheus over a run with faults: every panel's and every alert's query has data, and data that moves."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from msgspec.json import encode
from msgspec.structs import replace

from schemas.topics import TRADES
from schemas.trade import Trade
from stream.kafka import members
from stream.kafka.partition import partition_for
from stream.kafka.producer import Producer
from stream.metrics import reserve
from stream.settings import Settings
from stream.workers import environment
from tests.integration.running import fresh, until
from tests.monitoring.exchange import exchange
from tests.monitoring.prometheus import Prometheus, faults, prometheus
from tests.monitoring.queries import DASHBOARDS, Query, every_query, of_dashboard

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus, pytest.mark.slow, pytest.mark.timeout(180)]

SYMBOLS = 4
EVERYBODY = {"supervisor": 1, "worker": 2, "feed": 2}
WATCHED = ["BTC-USD", "ETH-USD"]


@contextmanager
def command(*words: str, environ: dict[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", "stream", *words], env=environ, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def run(own_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Two workers and two feeds, scraped through a zombie, a loss of records and kills."""
    held = [reserve("127.0.0.1") for _ in range(3)]
    ports = [each.getsockname()[1] for each in held]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    settings = fresh(own_kafka, session_seconds=4.0, snapshot_seconds=1.0, watch=WATCHED, feed_buffer_bytes=2000)
    up, simulated, live = (environment(replace(settings, metrics_port=port)) for port in ports)
    with ExitStack() as stack:
        enter = stack.enter_context
        workers = enter(command("up", "--workers", "2", environ=up))
        found = enter(
            prometheus(tmp_path_factory.mktemp("prometheus"), f"http://{addresses[0]}/sd", feeds=addresses[1:])
        )
        enter(command("feed", "simulate", "--symbols", str(SYMBOLS), "--rate", "400", environ=simulated))
        enter(command("feed", "binance", "BTCUSD", environ=live | {"TICKERTAPE_BINANCE_URL": enter(exchange())}))
        until("both workers share the partitions", lambda: shared(settings))
        until("all are scraped", lambda: sizes(found) == EVERYBODY)
        time.sleep(3)
        spoil(settings)
        time.sleep(3)
        bring_a_zombie(workers, settings)
        lose_records(workers, settings)
        until("both workers share the partitions again", lambda: shared(settings))
        until("all are scraped again", lambda: sizes(found) == EVERYBODY)
        time.sleep(4)
        yield found
    for each in held:
        each.close()


def sizes(found: Prometheus) -> dict[str, int]:
    return {job: len(instances) for job, instances in found.targets().items()}


def shared(settings: Settings) -> bool:
    group = members.describe(settings)
    return group.stable and len(group.owned) == 2 and all(TRADES.name in topics for topics in group.owned.values())


def running(up: psutil.Process) -> list[psutil.Process]:
    return [child for child in up.children() if child.status() != psutil.STATUS_ZOMBIE]


def spoil(settings: Settings) -> None:
    """Send a record that is late, one that comes twice, and one that can't be read."""
    now_ms = int(time.time() * 1000)
    fields = {"symbol": WATCHED[0], "source": "sim", "price": 1.0, "quantity": 1.0, "side": "buy"}
    late = Trade(id=10**9, time_ms=now_ms - 60_000, **fields)  # type: ignore[arg-type]  # of several types
    twice = Trade(id=10**9 + 1, time_ms=now_ms, **fields)  # type: ignore[arg-type]  # of several types

    async def put() -> None:
        async with Producer(settings.broker) as producer:
            for value in (encode(late), encode(twice), encode(twice), b"{"):
                producer.put(TRADES.name, partition_for(WATCHED[0], TRADES.partitions), b"spoilt", value)

    asyncio.run(put())


def bring_a_zombie(up: psutil.Process, settings: Settings) -> None:
    """Freeze a worker until the other has what it had, and wake it."""
    frozen = running(up)[0]
    frozen.suspend()
    until("the other has all", lambda: len(members.describe(settings).owned) == 1)
    time.sleep(2)
    frozen.resume()
    until("they share again", lambda: shared(settings))
    time.sleep(2)


def lose_records(up: psutil.Process, settings: Settings) -> None:
    """Have retention take what nobody has read, and kill the workers; one of them again and again."""
    both = running(up)
    for worker in both:
        worker.suspend()
    time.sleep(1)
    with KafkaAdminClient(bootstrap_servers=settings.broker) as admin:
        parts = [TopicPartition(TRADES.name, number) for number in range(TRADES.partitions)]
        ends = admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
        admin.delete_records({part: end.offset for part, end in ends.items()})
    for worker in both:
        worker.kill()
    # The first restart is at once; a scrape sees that one is missing when the third waits for a second.
    for _ in range(3):
        until("another has taken its place", lambda: len(running(up)) == 2)
        time.sleep(0.2)
        running(up)[-1].kill()


def test_every_query_has_data_that_moves_as_the_run_does(run: Prometheus) -> None:
    assert "\n".join(faults(run, every_query())) == ""


def test_a_worker_that_was_killed_is_scraped_again_where_it_was(run: Prometheus) -> None:
    for instance in run.targets()["worker"]:
        answers = [value for values in run.history(f'up{{job="worker", instance="{instance}"}}') for value in values]
        assert 0 in answers
        assert answers[-1] == 1


def test_a_broken_panel_is_told(run: Prometheus) -> None:
    whole = DASHBOARDS[-1].read_text()
    broken = [
        # A metric that isn't, a label's value that isn't, a query that can't be read, and one that says nothing.
        whole.replace("tickertape_open_windows", "tickertape_windows_open"),
        whole.replace('source=\\"all\\"', 'source=\\"each\\"'),
        whole.replace("sum by (topic) (rate(tickertape_results_total", "sum by (topic (rate(tickertape_results_total"),
        whole.replace("sum(up{", "2 + 0 * sum(up{"),
    ]
    told = [faults(run, of_dashboard(json.loads(text))) for text in broken]
    assert ["Open windows" in first for first, *_ in told] == [True, False, False, False]
    assert [len(each) for each in told] == [1, 1, 1, 1]
    assert "no data" in told[0][0]
    assert "Age of finals" in told[1][0]
    assert "parse error" in told[2][0]
    assert "always [2.0]" in told[3][0]


def test_what_does_not_move_is_told(run: Prometheus) -> None:
    assert faults(run, [Query("nobody", "vector(0)")]) == ["nobody: always [0.0]: vector(0)"]

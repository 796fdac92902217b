"""A real Prometheus over a run with faults: every panel's and every alert's query has data, and data that moves."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from msgspec.json import encode
from msgspec.structs import replace

from tests.alerts.servers import web
from tests.integration.running import fresh, until
from tests.monitoring.exchange import Unruly
from tests.monitoring.prometheus import Prometheus, faults, prometheus
from tests.monitoring.queries import DASHBOARDS, Query, every_query, of_dashboard
from tickertape.schemas.post import Post
from tickertape.schemas.topics import HOUR_MS, MINUTE_MS, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.connection import Connection
from tickertape.stream.configuration.environment import environment
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.publisher import Publisher
from tickertape.stream.kafka.admin import members
from tickertape.stream.kafka.clients.producer import Producer
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka
from tickertape.stream.kafka.partition import partition_for
from tickertape.stream.telemetry.serving import reserve

pytestmark = [pytest.mark.kafka, pytest.mark.prometheus, pytest.mark.slow, pytest.mark.timeout(180)]

SYMBOLS = 4
# What the exchange says in a second or two; Kafka is away for longer.
BUFFER_BYTES = 5000
STALL_SECONDS = 3.0
# How long all that has to move has time to, after the faults.
MOVING_SECONDS = 30.0
EVERYBODY = {"supervisor": 1, "worker": 2, "feed": 2, "alerts": 1}
WATCHED = ["BTC-USD", "ETH-USD"]
# Each comes true every few seconds.
RULES = """
[[rule]]
name = "turn"
when = "cross"
on = "rolling/trades"
field = "change_10s"
over = 0.0

[[rule]]
name = "loud"
when = "zscore"
on = "bars"
resolutions = ["1s"]
field = "volume"
windows = 5
above = 0.5
rearm = 0.4
"""
# Sent at once, one by one.
CHANNELS = """
[[channel]]
name = "pager"
kind = "webhook"
url_env = "PAGER_URL"

[[route]]
channels = ["pager"]
provisional = true
group_seconds = 0
"""
# What the receiver of alerts answers at first.
AWAY = [503] * 4


@contextmanager
def command(*words: str, environ: dict[str, str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen([sys.executable, "-m", "tickertape", *words], env=environ, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Two workers and two feeds, scraped through a stall of Kafka's, rebalances, a loss of records and kills."""
    held = [reserve("127.0.0.1") for _ in range(4)]
    ports = [each.getsockname()[1] for each in held]
    addresses = [f"127.0.0.1:{port}" for port in ports]
    folder = tmp_path_factory.mktemp("rules")
    rules, channels = folder / "signals.toml", folder / "alerts.toml"
    rules.write_text(RULES)
    channels.write_text(CHANNELS)
    with ExitStack() as stack:
        enter = stack.enter_context
        kafka = enter(EmbeddedKafka())
        settings = fresh(
            kafka.broker,
            session_seconds=4.0,
            # More often than heartbeats, so that a worker hears by a commit that it was left out.
            commit_seconds=0.2,
            snapshot_seconds=1.0,
            watch=WATCHED,
            feed_buffer_bytes=BUFFER_BYTES,
            # Those of a minute would be too long to wait for; a candle is longer than the time between scrapes.
            resolutions={kind: ["1s"] for kind in ("ema", "bollinger", "rsi")} | {"bars": ["1s", "5s", "1m"]},
            signals=str(rules),
            alerts=str(channels),
        )
        up, simulated, live, alerting = (environment(replace(settings, metrics_port=port)) for port in ports)
        workers = enter(command("up", "--workers", "2", environ=up))
        found = enter(
            prometheus(
                tmp_path_factory.mktemp("prometheus"),
                f"http://{addresses[0]}/sd",
                feeds=addresses[1:3],
                alerts=addresses[3:],
            )
        )
        # Of posts there are others: in a minute that is going on, mentions only rise.
        market = ["--symbols", str(SYMBOLS), "--rate", "400", "--posts", "0"]
        enter(command("feed", "simulate", *market, environ=simulated))
        enter(command("alerts", "run", environ=alerting | {"PAGER_URL": enter(web(*AWAY)).url}))
        exchange = enter(Unruly())
        enter(command("feed", "binance", "BTCUSD", environ=live | {"TICKERTAPE_BINANCE_URL": exchange.url}))
        until("both workers share the partitions", lambda: shared(settings))
        until("all are scraped", lambda: sizes(found) == EVERYBODY)
        newest = 'tickertape_feed_newest_timestamp_seconds{source="binance"}'
        until("the exchange's first trade is seen", lambda: bool(found.history(newest)))
        exchange.go_wrong()
        enter(posting(kafka.broker))
        spoil(settings, found)
        until("the feed has connected again", lambda: counted(found, "tickertape_feed_reconnects_total"))
        stall(kafka, found)
        fall_behind(settings, found)
        refuse_a_commit(settings, found)
        freeze_one(workers, settings, found)
        lose_records(workers, settings, found)
        until("both are scraped again", lambda: sizes(found) == EVERYBODY)
        kill_one(workers)
        until("all are scraped again", lambda: sizes(found) == EVERYBODY)
        # One is of 26 final bars, one of 20 windows; each moves with the next.
        for slow in ("tickertape_indicators_slow", "tickertape_indicators_z_score"):
            until(f"{slow} moves", lambda slow=slow: any(len(set(values)) > 2 for values in found.history(slow)))
        time.sleep(2)
        yield found
    for each in held:
        each.close()


@contextmanager
def posting(broker: str) -> Iterator[None]:
    """Post what was said of a symbol in hours past, a minute of it in a moment: a baseline takes twenty windows."""
    began_ms = int(time.time() * 1000) - 6 * HOUR_MS

    async def batches() -> AsyncIterator[list[Post]]:
        for minute in range(6 * 60):
            yield [
                Post(
                    author=f"author-{number}",
                    source="history",
                    id=100 * minute + number,
                    time_ms=began_ms + minute * MINUTE_MS + number,
                    text="said",
                    symbols=(WATCHED[0],),
                    likes=number,
                    sentiment=minute % 3 / 2,
                    copy_of=1 if number % 2 else None,
                )
                for number in range(minute % 7 + 1)
            ]
            await asyncio.sleep(0.4)

    async def run() -> None:
        async with Producer(Connection(broker)) as producer:
            with suppress(asyncio.CancelledError):
                await Publisher(producer, kinds=(Post,)).feed(batches(), close=False)

    loop = asyncio.new_event_loop()
    task = loop.create_task(run())
    thread = threading.Thread(target=loop.run_until_complete, args=(task,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def sizes(found: Prometheus) -> dict[str, int]:
    return {job: len(instances) for job, instances in found.targets().items()}


def shared(settings: Settings) -> bool:
    group = members.describe(settings)
    return group.stable and len(group.owned) == 2 and all(TRADES.name in topics for topics in group.owned.values())


def running(up: psutil.Process) -> list[psutil.Process]:
    """Return the workers that run; the page's process isn't one."""
    found = []
    for child in up.children():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "worker" in child.cmdline():
                found.append(child)
    return found


def spoil(settings: Settings, found: Prometheus) -> None:
    """Send a trade that is late, one that comes twice and one that can't be read, until a rate of each is seen."""

    async def put(number: int) -> None:
        now_ms = int(time.time() * 1000)
        fields = {"id": 10**9 + number, "symbol": WATCHED[0], "source": "sim", "price": 1.0, "quantity": 1.0}
        late, twice = (Trade(time_ms=at_ms, side="buy", **fields) for at_ms in (now_ms - 60_000, now_ms))  # type: ignore[arg-type]  # of several types
        async with Producer(settings) as producer:
            for value in (encode(late), encode(twice), encode(twice), b"{"):
                producer.send(TRADES.name, partition_for(WATCHED[0], TRADES.partitions), b"spoilt", value)

    def spoilt(number: int) -> None:
        asyncio.run(put(number))
        time.sleep(2)

    rates = [f'rate(tickertape_records_total{{outcome="{each}"}}[5s])' for each in ("late", "repeated", "rejected")]
    insist(found, spoilt, rates, times=10)


def insist(found: Prometheus, attempt: Callable[[int], None], counters: Sequence[str], times: int) -> None:
    """Do something again, until all of these are seen to have counted it."""
    for number in range(times):
        attempt(number)
        if all(counted(found, counter) for counter in counters):
            return
    raise AssertionError(f"not all were counted: {', '.join(counters)}")


def counted(found: Prometheus, counter: str) -> bool:
    return any(max(values) > 0 for values in found.history(counter))


def stall(kafka: EmbeddedKafka, found: Prometheus) -> None:
    """Freeze the broker for a while, until a feed has had to drop messages."""
    broker = psutil.Process(kafka.pid)

    def stalled(_: int) -> None:
        time.sleep(3)
        broker.suspend()
        time.sleep(STALL_SECONDS)
        broker.resume()

    insist(found, stalled, ["tickertape_feed_dropped_messages_total"], times=4)


def fall_behind(settings: Settings, found: Prometheus) -> None:
    """Send more and more trades at once, all of them late, until a worker is seen that has not read them all."""
    late = Trade(
        time_ms=int(time.time() * 1000) - 60_000, symbol=WATCHED[0], source="sim", price=1.0, quantity=1.0, id=1
    )

    async def put(records: int) -> None:
        value, partition = encode(late), partition_for(WATCHED[0], TRADES.partitions)
        async with Producer(settings) as producer:
            for sent in range(records):
                producer.send(TRADES.name, partition, b"late", value)
                if sent % 1000 == 0:
                    await producer.room()

    def flooded(number: int) -> None:
        asyncio.run(put(20_000 << number))
        # A worker looks how far it is once a second, and so does Prometheus.
        time.sleep(2)

    insist(found, flooded, [f'tickertape_lag_records{{topic="{TRADES.name}"}}'], times=8)


def refuse_a_commit(settings: Settings, found: Prometheus) -> None:
    """Have Kafka forget a worker until it hears of that by a commit, not by a heartbeat."""

    def removed(number: int) -> None:
        until("both workers share the partitions", lambda: shared(settings))
        members.remove(settings, f"{socket.gethostname()}-{number % 2}")
        time.sleep(2)

    insist(found, removed, ["tickertape_refused_commits_total"], times=12)


def freeze_one(up: psutil.Process, settings: Settings, found: Prometheus) -> None:
    """Have a worker be still for so long that the other owns all."""
    one, _ = running(up)
    one.suspend()
    owned = f'tickertape_owned_partitions{{topic="{TRADES.name}"}}'
    until("the other owns all", lambda: any(values[-1] == TRADES.partitions for values in found.history(owned)))
    one.resume()
    until("both workers share the partitions again", lambda: shared(settings))


def lose_records(up: psutil.Process, settings: Settings, found: Prometheus) -> None:
    """Have retention take what nobody has read, and kill the workers."""
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
        worker.wait(10)
    # Who counted it would be killed before it was scraped.
    until("the loss is seen", lambda: counted(found, "increase(tickertape_lost_records_total[15m])"))
    until("both workers share the partitions again", lambda: shared(settings))


def kill_one(up: psutil.Process) -> None:
    """Kill a worker that has been killed before, and again: the other sees it away for a second and more."""
    for _ in range(2):
        until("others have taken their places", lambda: len(running(up)) == 2)
        one = max(running(up), key=lambda worker: worker.cmdline())
        one.kill()
        one.wait(10)


def test_every_query_has_data_that_moves_as_the_run_does(run: Prometheus) -> None:
    # Minutes, alerts and correlations move when their time comes, and the run goes on.
    # The dashboard of feeds has a test of its own, with what goes wrong with feeds.
    queries = [query for query in every_query() if not query.asker.startswith("Tickertape: feeds: ")]
    end = time.monotonic() + MOVING_SECONDS
    while (told := faults(run, queries)) and time.monotonic() < end:
        time.sleep(2)
    assert "\n".join(told) == ""


def test_a_worker_that_was_killed_is_scraped_again_where_it_was(run: Prometheus) -> None:
    for instance in run.targets()["worker"]:
        answers = [value for values in run.history(f'up{{job="worker", instance="{instance}"}}') for value in values]
        assert 0 in answers
        assert answers[-1] == 1


def test_a_broken_panel_is_told(run: Prometheus) -> None:
    whole = (DASHBOARDS[0].with_name("pipeline.json")).read_text()
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

"""``tickertape feed binance`` and ``feed bluesky`` as processes, between a local exchange and a real Kafka."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import msgspec
import psutil
import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, named_missing, post, quote, refusal, trade
from tests.feeds.live.test_refilled import past
from tests.feeds.networks.test_bluesky_live import SECOND_US, START_US, Jetstream
from tests.feeds.rest import Rest
from tests.integration.running import read
from tickertape.schemas.post import Post
from tickertape.schemas.topics import CONTROL, INSTRUMENTS, POSTS, QUOTES, TRADES
from tickertape.schemas.trade import Trade
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.define.registry import format_named
from tickertape.stream.feeds.files import reading as files
from tickertape.stream.feeds.tally import Tally
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    """A Kafka that these tests may freeze."""
    with EmbeddedKafka() as embedded:
        create(Settings(embedded.broker), [TRADES, QUOTES, POSTS, INSTRUMENTS, CONTROL])
        yield embedded


@asynccontextmanager
async def feed(broker: str, *arguments: object, **settings: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a feed; what it says is in its stderr. It is gone afterwards."""
    environ = os.environ | {"TICKERTAPE_BROKER": broker}
    environ |= {f"TICKERTAPE_{name}".upper(): str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "tickertape", "feed", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, env=environ, stderr=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ended(process: asyncio.subprocess.Process, number: signal.Signals) -> str:
    """Have it end, and return all that it said."""
    process.send_signal(number)
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    return said.decode()


def frozen(kafka: EmbeddedKafka) -> psutil.Process:
    """Return the broker's process, stopped."""
    port = int(kafka.broker.rpartition(":")[2])
    for process in psutil.Process().children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections("tcp")):
            process.suspend()
            return process
    raise AssertionError(f"nothing listens on {kafka.broker}")


def records(kafka: EmbeddedKafka, topic: str) -> list[bytes]:
    return [value for _, value in read(kafka.broker, topic) if value is not None]


class Market:
    """Trades, one after the other, and as many quotes; each connection hears them from the moment that it is there.

    Attributes
    ----------
    now
        The id of the last one.
    slowest_pong
        How long the slowest answer to a ping took, seconds.
    """

    def __init__(self) -> None:
        self.now = 0
        self.slowest_pong = 0.0
        self._waiting: dict[int, asyncio.Event] = {}

    async def more(self, count: int) -> None:
        """Wait until so many more have been said."""
        await self._waiting.setdefault(self.now + count, asyncio.Event()).wait()

    async def __call__(self, socket: ServerConnection) -> None:
        pinging = asyncio.create_task(self._ping(socket))
        try:
            while True:
                self.now += 1
                await socket.send(trade(self.now))
                await socket.send(quote(self.now))
                if self.now in self._waiting:
                    self._waiting.pop(self.now).set()
                await asyncio.sleep(0.002)
        finally:
            pinging.cancel()

    async def _ping(self, socket: ServerConnection) -> None:
        while True:
            self.slowest_pong = max(self.slowest_pong, await (await socket.ping()))
            await asyncio.sleep(0.1)


def test_kafka_freezes_and_what_had_no_room_is_named(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    market = Market()
    exchange = Exchange(market)

    async def scenario() -> str:
        async with (
            exchange.open(),
            feed(
                kafka.broker,
                *("binance", "BTC-USDT", "--record", tmp_path),
                binance_url=exchange.url,
                feed_buffer_bytes=100_000,
            ) as process,
        ):
            await market.more(200)
            broker = frozen(kafka)
            market.slowest_pong = 0.0
            try:
                # Thrice what there is room for.
                await market.more(800)
            finally:
                broker.resume()
            await market.more(200)
            return await ended(process, signal.SIGTERM)

    said = asyncio.run(scenario())
    assert len(exchange.asked) == 1
    assert market.slowest_pong < 1.0
    # Whatever isn't there has its name.
    there = Counter(msgspec.json.decode(record, type=Trade).id for record in records(kafka, "trades"))
    assert set(there.values()) == {1}
    named = named_missing(said)
    missing = sorted(number for numbers in named for number in numbers)
    assert len(missing) > 100
    assert sorted([*there, *missing]) == list(range(1, max(there) + 1))
    # It is told when that begins and when it ends, and in the end how many: of trades and of quotes.
    assert "binance: Kafka is away or slow" in said
    dropped = sum(
        int(count.replace(",", ""))
        for count in re.findall(r"accepts messages again; ([\d,]+) messages? of [\d.]+ s w\w+ dropped", said)
    )
    assert f"{dropped:,} dropped" in said
    quotes = set(range(1, max(there) + 1)) - {msgspec.json.decode(record)["id"] for record in records(kafka, "quotes")}
    assert abs(dropped - len(missing) - len(quotes)) <= 2
    assert f"{len(missing):,} missing in {len(named):,} gap{'' if len(named) == 1 else 's'};" in said
    assert "then stopped" in said
    # What was recorded is all of it, the dropped too, and the rest is what came to the topic.
    tally = Tally()
    recorded = {
        event.id: event
        for event in files.read(sorted(tmp_path.iterdir()), format_named("binance", ()), tally)
        if isinstance(event, Trade)
    }
    assert (tally.bad, tally.others.total()) == (0, 0)
    assert set(range(1, max(there) + 1)) <= set(recorded)
    arrived = {(found := msgspec.json.decode(record, type=Trade)).id: found for record in records(kafka, "trades")}
    assert arrived == {number: recorded[number] for number in arrived}


def test_two_connections_at_once_and_what_both_bring_once(kafka: EmbeddedKafka) -> None:
    async def says_all(socket: ServerConnection) -> None:
        # Each connection leaves out some, and the two never the same.
        skipped = len(exchange.asked) - 1
        for number in range(1, 501):
            if number % 7 != skipped:
                await socket.send(trade(number))
        await socket.wait_closed()

    exchange = Exchange(says_all)

    async def scenario() -> str:
        options = ("binance", "BTC-USDT", "--redundant", "--source", "twice")
        async with exchange.open(), feed(kafka.broker, *options, binance_url=exchange.url) as process:
            async with asyncio.timeout(60):
                while len(await asyncio.to_thread(twice)) < 500:  # noqa: ASYNC110 - of other processes
                    await asyncio.sleep(0.2)
            return await ended(process, signal.SIGTERM)

    def twice() -> list[Trade]:
        all_trades = (msgspec.json.decode(record, type=Trade) for record in records(kafka, "trades"))
        return [one for one in all_trades if one.source == "twice"]

    said = asyncio.run(scenario())
    assert sorted(one.id for one in twice()) == list(range(1, 501))
    assert len(exchange.asked) == 2
    # One leaves out 71, the other 72, and the rest came twice.
    assert "357 repeated; 0 missing in 0 gaps" in said


def test_a_killed_feed_goes_on_where_it_was(kafka: EmbeddedKafka) -> None:
    kept = [START_US + n * SECOND_US for n in range(1000)]

    class Slowly(Jetstream):
        async def __call__(self, socket: ServerConnection) -> None:
            for time_us in [time_us for time_us in self.kept if time_us >= self.cursor(socket)]:
                await socket.send(post(time_us))
                await asyncio.sleep(0.005)

    exchange = Exchange(Slowly(kept, 0))

    async def scenario() -> None:
        async with exchange.open():
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
                async with feed(kafka.broker, "bluesky", bluesky_url=exchange.url) as process:
                    await exchange.calls.acquire()
                    await asyncio.sleep(1.0)
                    await ended(process, number)

    asyncio.run(scenario())
    posts = [msgspec.json.decode(record, type=Post) for record in records(kafka, "posts")]
    came_us = sorted({found.received_ms * 1000 for found in posts})
    # All of them, from the first on.
    assert came_us == kept[: len(came_us)]
    assert len(came_us) > 50
    cursors = [int(found[1]) if (found := re.search(r"cursor=(\d+)", path)) else 0 for path in exchange.asked]
    # After the kill from the beginning, for nothing was kept yet; then from where it ended, less some seconds.
    assert cursors[:2] == [0, 0]
    assert cursors[2] >= START_US
    # What came again is the same to the last bit.
    assert len({found.id for found in posts}) == len({repr(found) for found in posts}) == len(came_us)
    assert len(posts) > len(came_us)


def test_a_feed_that_starts_again_fetches_what_came_between(kafka: EmbeddedKafka, rest: Rest) -> None:
    market = Market()
    exchange = Exchange(market)
    rest.answers = [lambda handler: past(market.now)(handler)]

    def sent() -> list[int]:
        trades = (msgspec.json.decode(record, type=Trade) for record in records(kafka, "trades"))
        return [one.id for one in trades if one.source == "again" and isinstance(one.id, int)]

    async def run(until: int) -> str:
        addresses = {"binance_url": exchange.url, "binance_history_url": rest.url, "binance_refill": "true"}
        async with feed(kafka.broker, "binance", "BTC-USDT", "--source", "again", **addresses) as process:
            async with asyncio.timeout(60):
                while len(await asyncio.to_thread(sent)) < until:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.2)
            return await ended(process, signal.SIGTERM)

    async def scenario() -> str:
        async with exchange.open():
            await run(300)
            # A thousand trades of which nobody hears.
            market.now += 1000
            return await run(1500)

    said = asyncio.run(scenario())
    ids = sent()
    assert ids == list(range(1, max(ids) + 1))
    assert "0 missing in 0 gaps" in said


def test_a_server_that_refuses_for_good_is_one_line(kafka: EmbeddedKafka) -> None:
    async def scenario() -> tuple[int | None, str]:
        exchange = Exchange(refusal(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, "restricted location"))
        async with exchange.open(), feed(kafka.broker, "binance", "BTCUSDT", binance_url=exchange.url) as process:
            _, said = await process.communicate()
            return process.returncode, said.decode()

    code, said = asyncio.run(scenario())
    assert code == 3
    assert [line for line in said.splitlines() if not line.startswith("metrics at ")] == [
        "tickertape: binance: the server refuses (HTTP 451 Unavailable For Legal Reasons: restricted location); "
        "TICKERTAPE_BINANCE_URL sets its address"
    ]

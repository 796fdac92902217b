"""The instruments of a feed are on their topic once it connects, and stand in no event's way."""

import asyncio
import signal
from collections.abc import Iterator

import msgspec
import pytest

from tests.feeds.exchange import Exchange
from tests.feeds.instruments.lists.test_lists import binance_symbol, body
from tests.feeds.live.test_live_command import Market, ended, feed
from tests.feeds.rest import Rest
from tests.integration.running import read
from tickertape.schemas.instrument import Instrument
from tickertape.schemas.topics import CONTROL, INSTRUMENTS, QUOTES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.feeds.publish.instruments import announced
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def instrument(symbol: str, **fields: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        symbol=symbol, source="here", name=base + quote, base=base, quote=quote, kind="spot", status="trading", **fields
    )


def on_topic(broker: str) -> list[tuple[bytes | None, Instrument]]:
    found = read(broker, INSTRUMENTS.name)
    return [(key, msgspec.json.decode(value, type=Instrument)) for key, value in found if value is not None]


@pytest.fixture(scope="module")
def older() -> Iterator[EmbeddedKafka]:
    """A Kafka of a version that had no instruments; a test creates the topic."""
    with EmbeddedKafka() as embedded:
        create(Settings(embedded.broker), [TRADES, QUOTES, CONTROL])
        yield embedded


async def publish(broker: str, *instruments: Instrument) -> None:
    async with announced(Settings(broker), instruments):
        pass


def test_a_kafka_without_the_topic_gets_the_events_all_the_same(
    older: EmbeddedKafka,
    rest: Rest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asyncio.run(publish(older.broker, instrument("BTC-USDT")))
    (message,) = caplog.messages
    assert message.startswith("the instruments are not published, but the events are: ")
    assert "topic instruments" in message
    assert "tickertape topics create" in message

    rest.answers = [body({"symbols": [binance_symbol("BTCUSDT", "BTC", "USDT", "0.01", "0.00001")]})]
    market = Market()
    exchange = Exchange(market)

    async def scenario() -> str:
        async with (
            exchange.open(),
            feed(older.broker, "binance", "BTC-USDT", binance_url=exchange.url, binance_info_url=rest.url) as process,
        ):
            await market.more(1000)
            return await ended(process, signal.SIGTERM)

    said = asyncio.run(scenario())
    assert "the instruments are not published, but the events are: " in said
    assert len(list(read(older.broker, TRADES.name))) > 500


def test_each_start_publishes_all_of_them(older: EmbeddedKafka, rest: Rest) -> None:
    create(Settings(older.broker), [INSTRUMENTS])
    asyncio.run(publish(older.broker, instrument("BTC-USDT"), instrument("币-USDT")))
    asyncio.run(publish(older.broker, instrument("BTC-USDT", tick="0.01")))
    assert on_topic(older.broker) == [
        (b"BTC-USDT|here", instrument("BTC-USDT")),
        ("币-USDT|here".encode(), instrument("币-USDT")),
        (b"BTC-USDT|here", instrument("BTC-USDT", tick="0.01")),
    ]
    before = len(on_topic(older.broker))
    rest.answers = [
        body(
            {
                "symbols": [
                    binance_symbol("BTCUSDT", "BTC", "USDT", "0.01", "0.00001"),
                    binance_symbol("ETHUSDT", "ETH", "USDT", "0.01", "0.0001"),
                ]
            }
        )
    ]
    market = Market()
    exchange = Exchange(market)

    async def scenario() -> str:
        async with (
            exchange.open(),
            feed(
                older.broker,
                *("binance", "btcusdt", "--source", "binance-spot"),
                binance_url=exchange.url,
                binance_info_url=rest.url,
            ) as process,
        ):
            await market.more(300)
            return await ended(process, signal.SIGTERM)

    asyncio.run(scenario())
    ((key, found),) = on_topic(older.broker)[before:]
    assert key == b"BTC-USDT|binance-spot"
    assert (found.symbol, found.source, found.name, found.tick) == ("BTC-USDT", "binance-spot", "BTCUSDT", "0.01")


def test_a_symbol_that_is_not_there_ends_the_feed_at_once(rest: Rest) -> None:
    rest.answers = [body({"symbols": [binance_symbol("BTCUSDT", "BTC", "USDT", "0.01", "0.00001")]})]

    async def scenario() -> tuple[int | None, str]:
        async with feed("127.0.0.1:9", "binance", "BTC-USDTT", binance_info_url=rest.url) as process:
            async with asyncio.timeout(60):
                _, said = await process.communicate()
            return process.returncode, said.decode()

    code, said = asyncio.run(scenario())
    assert code == 2
    assert said.startswith("tickertape: binance: no instrument 'BTC-USDTT' in its list of 20")
    assert "did you mean BTC-USDT?" in said
    assert said.count("\n") == 1


def test_with_nothing_to_say_nobody_is_asked() -> None:
    # No broker is at this address.
    asyncio.run(asyncio.wait_for(publish("127.0.0.1:9"), 1))

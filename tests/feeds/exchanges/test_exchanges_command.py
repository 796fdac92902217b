"""``tickertape feed`` of an exchange as a process, between a local server and a real Kafka: all kinds of events."""

import asyncio
import json
import signal
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, stays
from tests.feeds.exchanges import test_binance_usdm as usdm
from tests.feeds.live.test_live_command import ended, feed
from tests.integration.running import read
from tickertape.schemas.liquidation import Liquidation
from tickertape.schemas.perpetual import Perpetual
from tickertape.schemas.topics import CONTROL, LIQUIDATIONS, PERPETUALS, QUOTES, TRADES
from tickertape.stream.configuration.settings import Settings
from tickertape.stream.kafka.admin.topics import create
from tickertape.stream.kafka.embedded.broker import EmbeddedKafka

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def kafka() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as embedded:
        create(Settings(embedded.broker), [TRADES, QUOTES, PERPETUALS, LIQUIDATIONS, CONTROL])
        yield embedded


def test_all_kinds_of_a_perpetual_reach_their_topics_with_all_digits(kafka: EmbeddedKafka) -> None:
    said = asyncio.Event()

    async def script(socket: ServerConnection) -> None:
        route = socket.request.path if socket.request else ""
        some = (usdm.BEST,) if route.startswith("/public") else (usdm.AGGREGATE, usdm.MARK, usdm.FORCED)
        for message in some:
            await socket.send(message.decode())
        if route.startswith("/market"):
            said.set()
        await stays(socket)

    async def scenario() -> str:
        exchange = Exchange(script)
        async with (
            exchange.open(),
            feed(
                kafka.broker,
                *("binanceusdm", "BTC-USDT-PERP"),
                binanceusdm_url=f"ws://127.0.0.1:{exchange.port}",
                binanceusdm_info_url="",
                binanceusdm_channels="trades quotes perpetuals liquidations",
                binanceusdm_decimals="true",
            ) as process,
        ):
            await said.wait()
            await asyncio.sleep(1.0)
            return await ended(process, signal.SIGTERM)

    told = asyncio.run(scenario())
    assert all(f"1 {name}" in told for name in ("trades", "quotes", "perpetuals", "liquidations")), told
    found: dict[str, Any] = {}
    for topic in (TRADES, QUOTES, PERPETUALS, LIQUIDATIONS):
        (found[topic.name],) = [value for _, value in read(kafka.broker, topic.name) if value is not None]
    trade = json.loads(found["trades"], parse_float=str)
    assert (trade["symbol"], trade["price"], trade["quantity"]) == ("BTC-USDT-PERP", "36000.10", "0.500")
    assert json.loads(found["quotes"], parse_float=str)["bid"] == "36000.0"
    assert msgspec.json.decode(found["perpetuals"], type=Perpetual).funding_rate == 0.00038167
    assert msgspec.json.decode(found["liquidations"], type=Liquidation).is_sample

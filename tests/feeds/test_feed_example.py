"""The source that the page on feeds shows is one: it hears a local exchange, and reads what was recorded."""

import asyncio
import gzip
import json
import runpy
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, stays
from tests.integration import recorded
from tickertape.schemas.events import Event
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.other import Other
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "feed.py"


@pytest.fixture
def coinbase() -> Any:
    return partial(runpy.run_path(str(EXAMPLE))["Coinbase"], name="coinbase")


def match(number: int) -> str:
    said = {"type": "match", "trade_id": number, "product_id": "BTC-USD", "price": "60000.5", "size": "0.25"}
    return json.dumps(said | {"side": "sell", "time": "2021-04-17T16:43:30.244075Z", "sequence": number * 7})


def test_it_subscribes_and_its_trades_come(coinbase: Any, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Any] = []

    async def script(socket: ServerConnection) -> None:
        asked.append(json.loads(await socket.recv()))
        for said in ('{"type": "subscriptions", "channels": []}', match(7), match(9)):
            await socket.send(said)
        await stays(socket)

    async def scenario() -> tuple[Sequence[Event], Live]:
        exchange = Exchange(script)
        async with exchange.open():
            source: Source = coinbase(exchange.url, ["BTC-USD"])
            live = Live(source, Patience(), buffer_bytes=1 << 20)
            async with asyncio.timeout(5), aclosing(live.batches()) as batches:
                heard: list[Event] = []
                while len(heard) < 2:
                    heard += await anext(batches)
                return heard, live

    heard, live = asyncio.run(scenario())
    assert asked == [{"type": "subscribe", "product_ids": ["BTC-USD"], "channels": ["matches"]}]
    assert heard[0] == Trade(
        symbol="BTC-USD",
        source="coinbase",
        id=7,
        time_ms=1_618_677_810_244,
        price=60000.5,
        quantity=0.25,
        side="buy",
        received_ms=heard[0].received_ms,
    )
    assert live.tally.others == {"subscriptions": 1}
    assert "coinbase: BTC-USD: 1 trade is missing, id 8" in caplog.messages


@pytest.mark.recorded
@pytest.mark.skipif(not recorded.MARKET.is_dir(), reason="the recorded input is not beside the project")
def test_it_reads_what_was_recorded(coinbase: Any) -> None:
    source: Source = coinbase("ws://x", ["BTC-USD"])
    with gzip.open(recorded.MARKET / "coinbase-exchange-2021.jsonl.gz") as file:
        lines = [line.partition(b": ")[2] for line in file]
    found = [source.normalise(line, 0) for line in lines]
    said = [json.loads(line) for line in lines]
    assert [(event.id, event.price) for event in found if isinstance(event, Trade)] == [
        (raw["trade_id"], float(raw["price"])) for raw in said if raw["type"] == "match"
    ]
    assert {other.kind for other in found if isinstance(other, Other)} == {raw["type"] for raw in said} - {"match"}

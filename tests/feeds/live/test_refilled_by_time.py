"""Missing trades come from histories that are asked by time: servers of Kraken, Binance USD-M and Coinbase Advanced."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import Exchange, Script, breaks, stays
from tests.feeds.history.test_by_time import aggregates_at, serves, trades_at
from tests.feeds.live.test_refilled import PATIENCE, REFILL
from tests.feeds.rest import Rest, refuses
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.define.source import Source
from tickertape.stream.feeds.exchanges import binance_usdm, coinbase_advanced, kraken
from tickertape.stream.feeds.live.live import Live

# A minute ago.
T = time.time_ns() // 1_000_000 - 60_000


def run(source_at: Callable[[str], Source], exchange: Exchange, last: int) -> tuple[list[Trade], Live]:
    """Return the trades that are sent, up to the last number."""

    async def scenario() -> tuple[list[Trade], Live]:
        sent: list[Trade] = []
        async with exchange.open():
            url = f"ws://127.0.0.1:{exchange.port}"
            live = Live(source_at(url), PATIENCE, buffer_bytes=64 << 20, refill_patience=REFILL)
            async with asyncio.timeout(60), aclosing(live.batches()) as batches:
                async for events in batches:
                    sent += [event for event in events if isinstance(event, Trade)]
                    if sent and last in (sent[-1].id, sent[-1].last_id):
                        break
        return sent, live

    return asyncio.run(scenario())


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def of_kraken(*numbers: int) -> str:
    trades = [
        {"symbol": "BTC/USD", "side": "buy", "price": 60000.5, "qty": 0.25, "trade_id": number}
        | {"timestamp": iso(T + number), "ord_type": "limit"}
        for number in numbers
    ]
    return json.dumps({"channel": "trade", "type": "update", "data": trades})


def of_usdm(number: int) -> str:
    """Return the message of an aggregate of three trades."""
    data = {"e": "aggTrade", "E": T, "a": 700 + number, "s": "BTCUSDT", "p": "60000.5", "q": "0.25", "m": True}
    data |= {"f": 3 * number + 1, "l": 3 * number + 3, "T": T + 100 * number}
    return json.dumps({"stream": "btcusdt@aggTrade", "data": data})


def of_advanced(number: int) -> str:
    trade = {"trade_id": str(number), "product_id": "BTC-USD", "price": "60000.5", "size": "0.25", "side": "SELL"}
    event = {"type": "update", "trades": [trade | {"time": iso(T + number)}]}
    return json.dumps({"channel": "market_trades", "timestamp": iso(T), "sequence_num": 0, "events": [event]})


def subscribed(then: Script) -> Script:
    """Return a script that answers Kraken's subscription, and goes on."""

    async def script(socket: ServerConnection) -> None:
        await socket.recv()
        result = {"channel": "trade", "symbol": "BTC/USD"}
        await socket.send(json.dumps({"method": "subscribe", "success": True, "result": result, "req_id": 0}))
        await then(socket)

    return script


def test_what_a_lost_connection_to_kraken_did_not_bring_comes_by_time(rest: Rest) -> None:
    async def first(socket: ServerConnection) -> None:
        await socket.send(of_kraken(1, 2))
        await breaks(socket)

    async def second(socket: ServerConnection) -> None:
        await socket.send(of_kraken(6))
        await stays(socket)

    def source_at(url: str) -> Source:
        settings = kraken.KrakenSettings(url=url, info_url="", history_url=rest.url, channels="trades")
        return kraken.FEED.connect(settings, ["BTC-USD"], "kraken")

    rest.answers = [
        refuses(429, Retry_After="0"),
        serves(trades_at(*((T + number) * 1_000_000 for number in range(1, 7)))),
    ]
    sent, live = run(source_at, Exchange(subscribed(first), subscribed(second)), last=6)
    assert [(one.id, one.time_ms) for one in sent] == [(number, T + number) for number in range(1, 7)]
    since = (T + 2 - 1000) * 1_000_000
    assert rest.asked == [f"/list?pair=BTC%2FUSD&since={since}&count=1000"] * 2
    assert live.tally.missing == 0


def test_a_gap_in_aggregates_is_filled_and_what_no_history_has_is_named(
    rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    async def skips(socket: ServerConnection) -> None:
        for number in (0, 3, 5):
            await socket.send(of_usdm(number))
        await stays(socket)

    def source_at(url: str) -> Source:
        settings = binance_usdm.BinanceUsdmSettings(url=url, info_url="", history_url=rest.url, channels="trades")
        return binance_usdm.FEED.connect(settings, ["BTC-USDT-PERP"], "binanceusdm")

    there = aggregates_at(*(T + 100 * number for number in range(6)))

    # The trades 13 to 15 are of the insurance fund, and in no aggregate.
    def answer(query: str) -> str:
        return json.dumps([one for one in json.loads(there(query)) if one["f"] != 13])

    rest.answers = [serves(answer)]
    sent, live = run(source_at, Exchange(skips), last=18)
    assert [(one.id, one.last_id) for one in sent] == [(1, 3), (4, 6), (7, 9), (10, 12), (16, 18)]
    assert "BTC-USDT-PERP: 3 trades can't be had, ids 13 to 15: the source doesn't have them" in caplog.text
    assert live.filling is not None
    assert (live.filling.refilled, live.filling.lost) == (2, 3)


def test_trades_of_coinbase_advanced_come_from_coinbase_exchange(rest: Rest) -> None:
    asked: list[str] = []

    async def skips(socket: ServerConnection) -> None:
        for number in (1, 4):
            await socket.send(of_advanced(number))
        await stays(socket)

    def answer(query: str) -> str:
        asked.append(query)
        # The side is the maker's, so the taker bought, as in the stream.
        rows = [
            {"trade_id": number, "side": "sell", "size": "0.25", "price": "60000.5", "time": iso(T + number)}
            for number in (3, 2, 1)
        ]
        return json.dumps(rows)

    def source_at(url: str) -> Source:
        settings = coinbase_advanced.CoinbaseAdvancedSettings(
            url=url, info_url="", history_url=rest.url, channels="trades"
        )
        return coinbase_advanced.FEED.connect(settings, ["BTC-USD"], "coinbaseadvanced")

    rest.answers = [serves(answer)]
    sent, _ = run(source_at, Exchange(skips), last=4)
    assert [(one.id, one.time_ms, one.side) for one in sent] == [(number, T + number, "buy") for number in range(1, 5)]
    assert rest.asked == ["/list/BTC-USD/trades?limit=1000&after=4"]
    assert {one.source for one in sent} == {"coinbaseadvanced"}

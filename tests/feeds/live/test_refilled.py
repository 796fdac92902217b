"""Missing trades come from the exchange's history, before the trades that came after them: a server that loses some."""

import asyncio
import json
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.asyncio.server import ServerConnection

from tests.feeds.exchange import MIDNIGHT_MS, Exchange, binance_at, breaks, stays, trade
from tests.feeds.rest import Rest, refuses
from tickertape.schemas.trade import Trade
from tickertape.stream.feeds.live.connection import Patience
from tickertape.stream.feeds.live.live import Live
from tickertape.stream.feeds.refill import refill

PATIENCE = Patience(silence_seconds=30.0, healthy_seconds=0.0, first_wait_seconds=0.01, longest_wait_seconds=0.05)
REFILL = refill.Patience(settle_seconds=0.2, history_seconds=0.5, again_seconds=0.05)


def past(most: int, names: tuple[str, ...] = ("BTCUSDT",)) -> Callable[[BaseHTTPRequestHandler], None]:
    """Return what answers with trades from a number on, up to the last that there is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query)
        assert asked["symbol"][0] in names
        first, limit = int(asked["fromId"][0]), int(asked["limit"][0])
        found = [entry(number) for number in range(first, min(first + limit, most + 1))]
        body = json.dumps(found).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def entry(number: int) -> dict[str, object]:
    """Return a trade as the history has it; it is that of `trade`."""
    found = {"id": number, "price": "100.5", "qty": "0.25", "quoteQty": "25.125", "time": MIDNIGHT_MS + number}
    return found | {"isBuyerMaker": False, "isBestMatch": True}


def run(exchange: Exchange, rest: Rest, last: int, symbols: tuple[str, ...] = ("BTCUSDT",)) -> tuple[list[Trade], Live]:
    """Return the trades that are sent, up to the last number."""

    async def scenario() -> tuple[list[Trade], Live]:
        sent: list[Trade] = []
        async with exchange.open():
            source = binance_at(exchange.url, symbols, rest.url)
            live = Live(source, PATIENCE, buffer_bytes=64 << 20, refill_patience=REFILL)
            async with asyncio.timeout(60), aclosing(live.batches()) as batches:
                async for events in batches:
                    sent += [event for event in events if isinstance(event, Trade)]
                    if sent and sent[-1].id == last:
                        break
        return sent, live

    return asyncio.run(scenario())


def test_a_gap_is_filled_before_what_comes_after_it(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tickertape")

    async def skips(socket: ServerConnection) -> None:
        for number in (1, 2, 6, 7):
            await socket.send(trade(number))
        await stays(socket)

    rest.answers = [past(7)]
    sent, live = run(Exchange(skips), rest, last=7)
    assert [one.id for one in sent] == [1, 2, 3, 4, 5, 6, 7]
    # As the stream would have said it.
    assert (sent[2].price, sent[2].quantity, sent[2].side, sent[2].time_ms) == (100.5, 0.25, "buy", MIDNIGHT_MS + 3)
    assert rest.asked == ["/list?symbol=BTCUSDT&fromId=3&limit=3"]
    assert live.tally.missing == 0
    assert "binance: BTC-USDT: 3 missing trades came from id 3 on" in caplog.text


def test_after_a_lost_connection_a_quiet_symbol_is_asked_for_too(rest: Rest) -> None:
    async def first(socket: ServerConnection) -> None:
        await socket.send(trade(1))
        await socket.send(trade(1, "ETHUSDT"))
        await breaks(socket)

    async def second(socket: ServerConnection) -> None:
        # Both had a second trade meanwhile. Of ETH-USDT nothing more comes.
        await socket.send(trade(3))
        await stays(socket)

    rest.answers = [past(2, ("BTCUSDT", "ETHUSDT"))]
    sent, _ = run(Exchange(first, second), rest, last=3, symbols=("BTCUSDT", "ETHUSDT"))
    names = [(one.symbol, one.id) for one in sent]
    # The last trade of BTC-USDT waits for the one of ETH-USDT that it would make late.
    assert sorted(names[:-1]) == [("BTC-USDT", 1), ("BTC-USDT", 2), ("ETH-USDT", 1), ("ETH-USDT", 2)]
    assert names[-1] == ("BTC-USDT", 3)


def test_a_history_that_is_busy_is_asked_again_and_one_that_refuses_is_not(
    rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    async def skips(socket: ServerConnection) -> None:
        for number in (1, 3, 4, 6):
            await socket.send(trade(number))
        await stays(socket)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(handler.path).query)["fromId"][0]
        says = refuses(400) if asked == "5" else refuses(503) if len(rest.asked) < 3 else past(2)
        says(handler)

    rest.answers = [answer]
    sent, live = run(Exchange(skips), rest, last=6)
    assert [one.id for one in sent] == [1, 2, 3, 4, 6]
    assert live.filling is not None
    assert live.filling.lost == 1
    assert live.tally.missing == 1
    assert "binance: BTC-USDT: 1 trade can't be had, id 5: " in caplog.text
    assert "HTTP 400" in caplog.text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_a_line_loses_all_trades_are_sent_in_order(rest: Rest, seed: int) -> None:
    chance, most = random.Random(seed), 3000
    at = [1]

    async def loses(socket: ServerConnection) -> None:
        end = at[0] + chance.randrange(100, 600)
        while at[0] < min(end, most):
            if chance.random() > 0.01:
                await socket.send(trade(at[0]))
            at[0] += 1
        if at[0] < most:
            # While it is away, more trades happen.
            at[0] = min(at[0] + chance.randrange(0, 200), most)
            await breaks(socket)
        await socket.send(trade(most))
        await stays(socket)

    rest.answers = [past(most)]
    sent, live = run(Exchange(loses), rest, last=most)
    assert [one.id for one in sent] == list(range(1, most + 1))
    assert live.tally.missing == 0
    assert live.tally.reconnects
